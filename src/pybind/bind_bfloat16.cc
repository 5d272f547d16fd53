// bfloat16 tensors as arrays of others: NumPy has no such type without ml_dtypes, and exchanges none by DLPack.
#include "casts.h"

namespace attnkit::python {
namespace {

// DLPack's structures (https://dmlc.github.io/dlpack/latest/c_api.html), as they lie in memory.
struct DLDevice {
  int32_t type, id;
};
struct DLDataType {
  uint8_t code, bits;
  uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t *shape, *strides;
  uint64_t byte_offset;
};
struct DLManagedTensor {
  DLTensor tensor;
  void* context;
  void (*deleter)(DLManagedTensor* self);
};
constexpr int32_t kDLCPU = 1;
constexpr uint8_t kDLBfloat = 4;
constexpr const char *kFresh = "dltensor", *kUsed = "used_dltensor";

// A tensor that somebody else looks at through DLPack.
struct Shown {
  Tensor tensor;
  DLManagedTensor managed;
};

void DropUnused(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, kFresh)) return;
  auto* managed = static_cast<DLManagedTensor*>(PyCapsule_GetPointer(capsule, kFresh));
  if (managed->deleter) managed->deleter(managed);
}

bool IsContiguous(const DLTensor& x) {
  if (!x.strides) return true;
  int64_t expected = 1;
  for (int32_t i = x.ndim; i-- > 0;) {
    if (x.shape[i] != 1 && x.strides[i] != expected) return false;
    expected *= x.shape[i];
  }
  return true;
}

// A tensor over the memory of a capsule, which it takes; nothing where that holds no bfloat16 of the CPU in row-major
// order.
std::optional<Tensor> FromDLPack(const py::object& capsule) {
  if (!PyCapsule_IsValid(capsule.ptr(), kFresh)) return {};
  auto* managed = static_cast<DLManagedTensor*>(PyCapsule_GetPointer(capsule.ptr(), kFresh));
  const DLTensor& x = managed->tensor;
  const bool bfloat16 = x.dtype.code == kDLBfloat && x.dtype.bits == 16 && x.dtype.lanes == 1;
  if (!bfloat16 || x.device.type != kDLCPU || !IsContiguous(x)) return {};
  Loan loan;
  loan.release = [managed] {
    if (managed->deleter) managed->deleter(managed);
  };
  const Shape shape(x.shape, x.shape + x.ndim);
  Tensor tensor = Tensor::Borrow(static_cast<char*>(x.data) + x.byte_offset, shape, std::move(loan), DType::kBFloat16);
  PyCapsule_SetName(capsule.ptr(), kUsed);
  return tensor;
}

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

py::object BitsCapsule(const Tensor& tensor, const py::dict& options) {
  const bool copy = options.contains("copy") && options["copy"].ptr() == Py_True;
  // A capsule of this version cannot say that nobody may write.
  if (!copy) tensor.storage().RequireWritable("dlpack");
  tensor.storage().Expose();
  auto* shown = new Shown{copy ? tensor.Clone() : tensor, {}};
  DLTensor& x = shown->managed.tensor;
  x = {shown->tensor.bits(), {kDLCPU, 0}, static_cast<int32_t>(tensor.rank()), {kDLBfloat, 16, 1}, nullptr, nullptr, 0};
  x.shape = const_cast<int64_t*>(shown->tensor.shape().data());
  shown->managed.context = shown;
  shown->managed.deleter = [](DLManagedTensor* self) { delete static_cast<Shown*>(self->context); };
  return py::reinterpret_steal<py::object>(PyCapsule_New(&shown->managed, kFresh, &DropUnused));
}

void BindBFloat16(py::module_& m) {
  m.def("from_bits", &FromBits, py::arg("bits"));
  m.def("bfloat16_from_dlpack", &FromDLPack, py::arg("capsule"));
}

}  // namespace attnkit::python
