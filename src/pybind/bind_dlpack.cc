// Memory shared with other libraries by DLPack: what NumPy does not exchange, which is bfloat16 and memory of devices.
#include "casts.h"
#include "dlpack.h"

namespace attnkit::python {
namespace {

using IntPair = std::pair<int64_t, int64_t>;

// Of what others share or shared: a GPU that is gone has nothing under way.
void WaitQuietly(const Context& context) noexcept {
  try {
    context.Wait();
  } catch (const std::exception&) {
  }
}

// ----- To others.

// A tensor that somebody else looks at.
template <typename Managed>
struct Shown {
  Tensor tensor;
  Managed managed;
};

template <typename Managed>
void DropUnused(PyObject* capsule) {
  if (!PyCapsule_IsValid(capsule, CapsuleName<Managed>::kFresh)) return;
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule, CapsuleName<Managed>::kFresh));
  if (managed->deleter) managed->deleter(managed);
}

template <typename Managed>
Managed& Show(const Tensor& tensor) {
  auto* shown = new Shown<Managed>{tensor, {}};
  DLTensor& x = shown->managed.tensor;
  const DeviceId device = *tensor.context().id();
  x.data = shown->tensor.address();
  x.device = {device.kind, device.number};
  x.ndim = static_cast<int32_t>(tensor.rank());
  x.dtype = tensor.dtype() == DType::kBFloat16 ? DLDataType{kDLBfloat, 16, 1} : DLDataType{kDLFloat, 32, 1};
  x.shape = const_cast<int64_t*>(shown->tensor.shape().data());
  shown->managed.context = shown;
  shown->managed.deleter = [](Managed* self) {
    auto* dropped = static_cast<Shown<Managed>*>(self->context);
    WaitQuietly(dropped->tensor.context());  // theirs may still read it, in a stream that nobody names here
    delete dropped;
  };
  return shown->managed;
}

template <typename Managed>
py::object CapsuleOf(Managed& managed) {
  return py::reinterpret_steal<py::object>(PyCapsule_New(&managed, CapsuleName<Managed>::kFresh, &DropUnused<Managed>));
}

const DeviceId& RequireShared(const Tensor& tensor, std::optional<DeviceId>& id) {
  id = tensor.context().id();
  ATTNKIT_CHECK(id.has_value(), "[dlpack] expected a tensor of the CPU or of a GPU, got one on ",
                tensor.context().device());
  return *id;
}

// Whose work must come behind ours: the stream as the array API counts it, for which nothing is 1 and -1 says that
// nobody need wait.
void OrderBehind(const Tensor& tensor, const DeviceId& id, const py::object& stream) {
  if (id.kind == kDLCPU) {
    ATTNKIT_CHECK(stream.is_none(), "[dlpack] expected no stream for a tensor of the CPU, got ",
                  std::string(py::str(stream)));
    return;
  }
  const int64_t number = stream.is_none() ? 1 : CastTo<int64_t>(stream, "dlpack", "a stream's number");
  ATTNKIT_CHECK(number == -1 || number > 0, "[dlpack] expected a stream of -1, 1, 2 or a handle, got ", number);
  if (number != -1) tensor.context().LetWait(number);
}

void RequireDevice(const Tensor& tensor, const DeviceId& id, const std::optional<IntPair>& wanted) {
  if (!wanted || (wanted->first == id.kind && wanted->second == id.number)) return;
  throw py::buffer_error(Concat("[dlpack] expected a consumer on ", tensor.context().device(), ", got one on device (",
                                wanted->first, ", ", wanted->second, ") of DLPack's list; to() copies"));
}

py::object Export(const Tensor& x, const py::object& stream, const std::optional<IntPair>& max_version,
                  const std::optional<IntPair>& device, std::optional<bool> copy) {
  std::optional<DeviceId> found;
  const DeviceId& id = RequireShared(x, found);
  RequireDevice(x, id, device);
  if (x.dtype() == DType::kInt8) throw py::buffer_error("[dlpack] expected float32 or bfloat16, got int8");
  const bool copied = copy.value_or(false), versioned = max_version && max_version->first >= 1;
  // A capsule without a version cannot say that nobody may write.
  if (!copied && !versioned) x.storage().RequireWritable("dlpack");
  const Tensor shown = copied ? x.Clone() : x;
  if (shown.storage().writable()) shown.storage().Expose();
  OrderBehind(x, id, stream);
  if (!versioned) return CapsuleOf(Show<DLManagedTensor>(shown));
  auto& managed = Show<DLManagedTensorVersioned>(shown);
  managed.major = 1;
  managed.flags = (shown.storage().writable() ? 0 : kDLReadOnly) | (copied ? kDLIsCopied : 0);
  return CapsuleOf(managed);
}

// float32 of the CPU is NumPy's to exchange.
py::object ToDLPack(const Tensor& x, const py::object& stream, const std::optional<IntPair>& max_version,
                    const std::optional<IntPair>& device, std::optional<bool> copy) {
  if (!x.context().is_cpu() || x.dtype() == DType::kBFloat16) return Export(x, stream, max_version, device, copy);
  py::dict options;
  if (!stream.is_none()) options["stream"] = stream;
  if (max_version) options["max_version"] = *max_version;
  if (device) options["dl_device"] = *device;
  if (copy) options["copy"] = *copy;
  return ArrayView(x, true).attr("__dlpack__")(**options);
}

IntPair DLPackDevice(const Tensor& x) {
  std::optional<DeviceId> found;
  const DeviceId& id = RequireShared(x, found);
  return {id.kind, id.number};
}

// ----- From others.

bool IsContiguous(const DLTensor& x) {
  if (!x.strides) return true;
  int64_t expected = 1;
  for (int32_t i = x.ndim; i-- > 0;) {
    if (x.shape[i] != 1 && x.strides[i] != expected) return false;
    expected *= x.shape[i];
  }
  return true;
}

std::optional<DType> TypeOf(const DLDataType& dtype) {
  if (dtype.code == kDLFloat && dtype.bits == 32 && dtype.lanes == 1) return DType::kFloat32;
  if (dtype.code == kDLBfloat && dtype.bits == 16 && dtype.lanes == 1) return DType::kBFloat16;
  return {};
}

std::string Describe(const DLTensor& x) {
  const char* const kinds[] = {"int", "uint", "float", "opaque", "bfloat", "complex", "bool"};
  const std::string kind = x.dtype.code < std::size(kinds) ? kinds[x.dtype.code] : "type ";
  return kind + std::to_string(x.dtype.bits) + " of shape " + ToString(Shape(x.shape, x.shape + x.ndim)) +
         (IsContiguous(x) ? "" : " in another order");
}

// A tensor over the memory of a capsule, which it takes; `dtype` is that of its numbers, which lie in row-major order.
template <typename Managed>
Tensor Take(const py::object& capsule, Managed* managed, DType dtype, const Context& context, bool writable) {
  const DLTensor& x = managed->tensor;
  Loan loan;
  loan.writable = writable;
  loan.release = [managed, &context] {
    WaitQuietly(context);  // ours may still read it, and they know nothing of our stream
    if (managed->deleter) managed->deleter(managed);
  };
  const Shape shape(x.shape, x.shape + x.ndim);
  Tensor tensor = Tensor::Borrow(static_cast<char*>(x.data) + x.byte_offset, shape, std::move(loan), dtype, context);
  PyCapsule_SetName(capsule.ptr(), CapsuleName<Managed>::kUsed);
  return tensor;
}

template <typename Managed>
Managed* Inside(const py::object& capsule) {
  if (!PyCapsule_IsValid(capsule.ptr(), CapsuleName<Managed>::kFresh)) return nullptr;
  return static_cast<Managed*>(PyCapsule_GetPointer(capsule.ptr(), CapsuleName<Managed>::kFresh));
}

// Nothing where that holds no bfloat16 of the CPU in row-major order.
std::optional<Tensor> BFloat16FromDLPack(const py::object& capsule) {
  auto* managed = Inside<DLManagedTensor>(capsule);
  if (!managed || managed->tensor.device.type != kDLCPU || TypeOf(managed->tensor.dtype) != DType::kBFloat16 ||
      !IsContiguous(managed->tensor))
    return {};
  return Take(capsule, managed, DType::kBFloat16, Cpu(), true);
}

template <typename Managed>
Tensor TakeFromDevice(const py::object& capsule, Managed* managed, const Context& context, bool writable) {
  const std::optional<DType> dtype = TypeOf(managed->tensor.dtype);
  ATTNKIT_CHECK(dtype && IsContiguous(managed->tensor),
                "[dlpack] expected float32 or bfloat16 in row-major order, got ", Describe(managed->tensor));
  return Take(capsule, managed, *dtype, context, writable);
}

// Those who know no version but the first take no such argument.
py::object AskForCapsule(const py::object& source, py::dict options) {
  const auto ask = source.attr("__dlpack__");
  try {
    return ask(py::arg("max_version") = IntPair(1, 0), **options);
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_TypeError)) throw;
  }
  return ask(**options);
}

Tensor FromDevice(const py::object& source) {
  const auto [kind, number] = CastTo<IntPair>(source.attr("__dlpack_device__")(), "dlpack", "a device of DLPack");
  const Context* context = FindContext({static_cast<int32_t>(kind), static_cast<int32_t>(number)});
  ATTNKIT_CHECK(context, "[dlpack] expected memory of the CPU or of a GPU that is here, got that of device (", kind,
                ", ", number, ") of DLPack's list");
  py::dict options;
  if (kind == kDLCUDA) options["stream"] = context->stream();
  const py::object capsule = AskForCapsule(source, options);
  if (auto* managed = Inside<DLManagedTensor>(capsule)) return TakeFromDevice(capsule, managed, *context, true);
  auto* managed = Inside<DLManagedTensorVersioned>(capsule);
  ATTNKIT_CHECK(managed && managed->major == 1, "[dlpack] expected a capsule of DLPack 1, got ",
                managed ? "one of version " + std::to_string(managed->major) : std::string(py::repr(capsule)));
  return TakeFromDevice(capsule, managed, *context, !(managed->flags & kDLReadOnly));
}

}  // namespace

void BindDLPack(py::module_& m) {
  auto c = py::reinterpret_borrow<py::class_<Tensor>>(m.attr("Tensor"));
  c.def("__dlpack__", &ToDLPack, py::kw_only(), py::arg("stream") = py::none(), py::arg("max_version") = py::none(),
        py::arg("dl_device") = py::none(), py::arg("copy") = py::none());
  c.def("__dlpack_device__", &DLPackDevice);
  m.def("bfloat16_from_dlpack", &BFloat16FromDLPack, py::arg("capsule"));
  m.def("device_from_dlpack", &FromDevice, py::arg("source"));
}

}  // namespace attnkit::python
