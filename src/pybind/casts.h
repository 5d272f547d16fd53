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
inline Loan LoanOf(const FloatArray& array) {
  auto owner = Keep(array);
  return {[owner]() mutable { owner.reset(); }, array.writeable()};
}

// A tensor over the array's memory, which must be C-contiguous float32.
inline Tensor BorrowArray(const FloatArray& array) {
  return Tensor::Borrow(const_cast<float*>(array.data()), ShapeOf(array), LoanOf(array));
}

// A NumPy view of the tensor's memory, to be written if that is asked for and possible.
inline FloatArray ArrayView(const Tensor& tensor, bool writable) {
  writable = writable && tensor.storage().writable();
  if (writable) tensor.storage().Expose();
  py::capsule owner(new Tensor(tensor), [](void* kept) { delete static_cast<Tensor*>(kept); });
  FloatArray array(tensor.shape(), tensor.data(), owner);
  if (!writable) array.attr("flags").attr("writeable") = false;
  return array;
}

// Copied: they are checked once, and backward reads them after the caller may have written others there.
inline ops::Indices ToIndices(const Int32Array& array) {
  return ops::Indices(std::vector<int32_t>(array.data(), array.data() + array.size()));
}
inline ops::Indices ToIndices(const std::optional<Int32Array>& array) {
  return array ? ToIndices(*array) : ops::Indices();
}

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
