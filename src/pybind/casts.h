// Conversions between NumPy arrays and the core's types that several bindings share.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <utility>

#include "attnkit/check.h"
#include "attnkit/kernels/gemm.h"
#include "attnkit/ops/indices.h"
#include "attnkit/tensor.h"

namespace attnkit::python {

namespace py = pybind11;

// What the core can read: anything else is copied into it, where NumPy calls that safe.
template <typename T>
using AlignedArray = py::array_t<T, py::array::c_style | py::detail::npy_api::NPY_ARRAY_ALIGNED_>;
using FloatArray = AlignedArray<float>;
using Int32Array = AlignedArray<int32_t>;

// Keeps a Python object alive from C++ code that may let go of it without holding the GIL.
inline std::shared_ptr<py::object> Keep(py::object object) {
  return {new py::object(std::move(object)), [](py::object* kept) {
            if (!Py_IsInitialized()) return;  // at interpreter exit the object is gone with everything else
            py::gil_scoped_acquire gil;
            delete kept;
          }};
}

inline Shape ShapeOf(const py::array& array) { return {array.shape(), array.shape() + array.ndim()}; }

// The array's memory for as long as it is needed.
inline Loan LoanOf(const py::array& array) {
  auto owner = Keep(array);
  return {[owner]() mutable { owner.reset(); }, array.writeable()};
}

// A tensor over the array's memory, which must be C-contiguous float32.
inline Tensor BorrowArray(const FloatArray& array) {
  return Tensor::Borrow(const_cast<float*>(array.data()), ShapeOf(array), LoanOf(array));
}

// What a tensor of another device holds, or of another type, in memory of its own that nobody can write.
inline FloatArray ArrayCopy(const Tensor& tensor) {
  FloatArray array(tensor.shape());
  tensor.To(DType::kFloat32).CopyTo(array.mutable_data());
  array.attr("flags").attr("writeable") = false;
  return array;
}

// A NumPy view of the tensor's memory, to be written if that is asked for and possible.
inline FloatArray ArrayView(const Tensor& tensor, bool writable) {
  if (!tensor.context().is_cpu() || tensor.dtype() != DType::kFloat32) return ArrayCopy(tensor);
  writable = writable && tensor.storage().writable();
  if (writable) tensor.storage().Expose();
  py::capsule owner(new Tensor(tensor), [](void* kept) { delete static_cast<Tensor*>(kept); });
  FloatArray array(tensor.shape(), tensor.data(), owner);
  if (!writable) array.attr("flags").attr("writeable") = false;
  return array;
}

// An int8 weight over the bytes [N, K], whose memory is shared, with a multiplier for each row; and what it was made
// of.
Tensor FromInt8(const AlignedArray<int8_t>& bytes, const FloatArray& multipliers, float input_multiplier);
py::tuple Int8Parts(const Tensor& weight);

// Of a bfloat16 tensor: an array of ml_dtypes.bfloat16 where that is installed, else of its bits.
py::object BitsArray(const Tensor& tensor, bool writable);

// The Indices that these are, or that an array is a view of (Indices.numpy()); undefined where there are none.
ops::Indices IndicesBehind(const py::handle& values);

// Copied: the caller may write others there before backward reads them.
inline ops::Indices CopyIndices(const Int32Array& array) { return ops::Indices::Copy(array.data(), array.size()); }

inline ops::Indices OrUndefined(const std::optional<ops::Indices>& indices) { return indices.value_or(ops::Indices()); }

// A Python value as a T. Where it is none, a TypeError: "[op] expected ..., got ...".
template <typename T>
T CastTo(const py::handle& value, const char* op, const char* expected) {
  try {
    return py::cast<T>(value);
  } catch (const py::cast_error&) {
    constexpr size_t kLongest = 100;
    std::string got = py::reinterpret_steal<py::str>(PyObject_ASCII(value.ptr()));  // may be cut anywhere
    if (got.size() > kLongest) got = got.substr(0, kLongest) + " ...";
    throw py::type_error(Concat("[", op, "] expected ", expected, ", got ", got));
  }
}

inline Tensor OrUndefined(const std::optional<Tensor>& tensor) { return tensor.value_or(Tensor()); }
inline py::object OrNone(const Tensor& tensor) { return tensor ? py::cast(tensor) : py::none(); }

kernels::Precision ParsePrecision(const std::string& name);
const char* PrecisionName(kernels::Precision precision);
kernels::Activation ParseActivation(const std::optional<std::string>& name);

}  // namespace attnkit::python

namespace pybind11::detail {

// An argument that is Indices may be given as an array too.
template <>
struct type_caster<attnkit::ops::Indices> : type_caster_base<attnkit::ops::Indices> {
  static constexpr auto name =
      io_name("typing.Annotated[numpy.typing.ArrayLike, numpy.int32] | attnkit._core.Indices", "attnkit._core.Indices");

  bool load(handle source, bool convert) {
    // First what a step of decoding gives: pybind11's own look at an array, and a second round for what converts, would
    // take longer than the copy.
    if (isinstance<attnkit::python::Int32Array>(source)) {
      made_ = attnkit::python::IndicesBehind(source);
      if (!made_) made_ = attnkit::python::CopyIndices(reinterpret_borrow<attnkit::python::Int32Array>(source));
      value = &made_;
      return true;
    }
    if (type_caster_base::load(source, false)) return value != nullptr;
    if (!convert) return false;
    made_ = attnkit::python::IndicesBehind(source);
    if (!made_) {
      const auto array = attnkit::python::Int32Array::ensure(source);
      if (!array) return false;
      made_ = attnkit::python::CopyIndices(array);
    }
    value = &made_;
    return true;
  }

 private:
  attnkit::ops::Indices made_;
};

}  // namespace pybind11::detail
