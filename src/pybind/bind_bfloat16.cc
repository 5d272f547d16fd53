// bfloat16 tensors as arrays of others: NumPy has no such type without ml_dtypes.
#include "casts.h"

namespace attnkit::python {
namespace {

// bfloat16's bits, in the shape of the array, whose memory is shared.
Tensor FromBits(const AlignedArray<uint16_t>& bits) {
  return Tensor::Borrow(const_cast<uint16_t*>(bits.data()), ShapeOf(bits), LoanOf(bits), DType::kBFloat16);
}

}  // namespace

py::object BitsArray(const Tensor& tensor, bool writable) {
  if (!tensor.context().is_cpu()) return BitsArray(tensor.To(Cpu()), false);
  writable = writable && tensor.storage().writable();
  if (writable) tensor.storage().Expose();
  py::capsule owner(new Tensor(tensor), [](void* kept) { delete static_cast<Tensor*>(kept); });
  py::array_t<uint16_t> array(tensor.shape(), tensor.bits(), owner);
  if (!writable) array.attr("flags").attr("writeable") = false;
  try {
    return array.attr("view")(py::module_::import("ml_dtypes").attr("bfloat16"));
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_ImportError)) throw;
    return array;
  }
}

void BindBFloat16(py::module_& m) { m.def("from_bits", &FromBits, py::arg("bits")); }

}  // namespace attnkit::python
