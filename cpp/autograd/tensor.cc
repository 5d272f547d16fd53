#include "attnkit/tensor.h"

#include <mutex>
#include <tuple>

#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/cpu.h"
#include "attnkit/kernels.h"
#include "attnkit/op_scope.h"
#include "base/fork_safe_mutex.h"

namespace attnkit {
namespace {

ForkSafeMutex mutex;  // of what all storages know of their packed copies

// The same numbers in memory of their own, there. Between two devices they pass through the host.
Tensor Copied(const Tensor& x, const Context& context) {
  Tensor copy(x.shape(), context, x.dtype());
  copy.storage().SetQuantization(x.storage().quantization());
  if (context.is_cpu()) {
    x.CopyTo(copy.address());
  } else if (x.context().is_cpu()) {
    context.CopyFromHost(x.address(), x.bytes(), copy.address());
  } else {
    return Copied(Copied(x, Cpu()), context);
  }
  return copy;
}

}  // namespace

int64_t SizeOf(const Shape& shape) {
  int64_t size = 1;
  for (int64_t length : shape) {
    ATTNKIT_CHECK(length >= 0 && !__builtin_mul_overflow(size, length, &size),
                  "[tensor] expected sizes >= 0 whose product fits, got ", ToString(shape));
  }
  return size;
}

std::string ToString(const Shape& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

Storage::Storage(const Context& context, DType dtype, int64_t size) : context_(context), dtype_(dtype), size_(size) {
  if (size < 0 || size > static_cast<int64_t>(kMostBytes) / BytesOf(dtype)) throw std::bad_alloc();
  data_ = context.Allocate(size * BytesOf(dtype));
}

Storage::Storage(const Context& context, DType dtype, void* data, int64_t size, Loan loan)
    : context_(context), dtype_(dtype), data_(data), size_(size), loan_(std::move(loan)), exposed_(true) {}

Storage::~Storage() {
  if (borrowed()) {
    loan_.release();
  } else {
    context_.Free(data_, size_ * BytesOf(dtype_));
  }
}

void Storage::RequireWritable(const char* op) const {
  ATTNKIT_CHECK(writable(), "[", op, "] expected memory that may be written, got a read-only array");
}

void Storage::Touch() { Forget(false); }

void Storage::Settle() {
  std::lock_guard<ForkSafeMutex> lock(mutex);
  exposed_ = false;
}

void Storage::Expose() { Forget(true); }

void Storage::Forget(bool expose) {
  Packings stale;  // freed when the mutex is not held any more: the allocator has one of its own
  std::lock_guard<ForkSafeMutex> lock(mutex);
  exposed_ |= expose;
  ++writes_;
  stale.swap(packed_);
  rounded_.reset();
}

bool Storage::PackKey::operator<(const PackKey& other) const {
  const auto fields = [](const PackKey& key) {
    return std::tie(key.offset, key.k, key.n, key.row_stride, key.column_stride, key.precision, key.isa);
  };
  return fields(*this) < fields(other);
}

std::shared_ptr<const kernels::PackedMatrix> Storage::Packed(int64_t offset, int64_t k, int64_t n, int64_t row_stride,
                                                             int64_t column_stride, kernels::Precision precision) {
  const PackKey key{
      offset, k, n, row_stride, column_stride, static_cast<int>(precision), static_cast<int>(ActiveIsa())};
  uint64_t writes_before;
  {
    std::lock_guard<ForkSafeMutex> lock(mutex);
    const auto found = packed_.find(key);
    if (found != packed_.end()) return found->second;
    writes_before = writes_;
  }
  auto packed =
      std::make_shared<const kernels::PackedMatrix>(PackNow(offset, k, n, row_stride, column_stride, precision));
  std::lock_guard<ForkSafeMutex> lock(mutex);
  if (!exposed_ && writes_ == writes_before) packed_.emplace(key, packed);
  return packed;
}

kernels::PackedMatrix Storage::PackNow(int64_t offset, int64_t k, int64_t n, int64_t row_stride, int64_t column_stride,
                                       kernels::Precision precision) const {
  const Kernels& use = context_.kernels();
  if (dtype_ == DType::kBFloat16) {
    return use.PackBFloat16(static_cast<const uint16_t*>(data_) + offset, k, n, row_stride, column_stride, precision);
  }
  if (dtype_ == DType::kInt8 && row_stride == 1 && column_stride == k) {
    return use.PackQuantized(static_cast<const int8_t*>(data_), *quantization_, k, n, precision);
  }
  if (dtype_ == DType::kInt8) {  // its rows are the depth: for gradients, say, as float32
    Storage numbers(context_, DType::kFloat32, k * n);
    use.Dequantize(static_cast<const int8_t*>(data_), {quantization_->multipliers.data()}, k, n,
                   static_cast<float*>(numbers.data()));
    return use.PackMatrix(static_cast<const float*>(numbers.data()), k, n, row_stride, column_stride, precision);
  }
  return use.PackMatrix(static_cast<const float*>(data_) + offset, k, n, row_stride, column_stride, precision);
}

std::shared_ptr<Storage> Storage::Rounded() {
  uint64_t writes_before;
  {
    std::lock_guard<ForkSafeMutex> lock(mutex);
    if (auto rounded = rounded_.lock()) return rounded;
    writes_before = writes_;
  }
  auto rounded = std::make_shared<Storage>(context_, DType::kBFloat16, size_);
  context_.kernels().Round(static_cast<const float*>(data_), size_, static_cast<uint16_t*>(rounded->data()));
  std::lock_guard<ForkSafeMutex> lock(mutex);
  if (!exposed_ && writes_ == writes_before) rounded_ = rounded;
  return rounded;
}

Tensor::Tensor(Shape shape, const Context& context, DType dtype) : impl_(std::make_shared<Impl>()) {
  impl_->size = SizeOf(shape);
  impl_->shape = std::move(shape);
  impl_->storage = std::make_shared<Storage>(context, dtype, impl_->size);
  OpScope::Made(impl_->storage);
}

Tensor Tensor::Full(Shape shape, float value, const Context& context) {
  Tensor tensor(std::move(shape), context);
  tensor.kernels().Fill(value, tensor.size(), tensor.data());
  return tensor;
}

Tensor Tensor::Zeros(Shape shape, const Context& context) { return Full(std::move(shape), 0.0f, context); }

Tensor Tensor::Borrow(void* data, Shape shape, Loan loan, DType dtype, const Context& context) {
  Tensor tensor;
  tensor.impl_ = std::make_shared<Impl>();
  tensor.impl_->size = SizeOf(shape);
  tensor.impl_->shape = std::move(shape);
  tensor.impl_->storage = std::make_shared<Storage>(context, dtype, data, tensor.impl_->size, std::move(loan));
  return tensor;
}

Tensor Tensor::View(Shape shape, int64_t offset) const {
  Tensor view;
  view.impl_ = std::make_shared<Impl>();
  view.impl_->size = SizeOf(shape);
  ATTNKIT_CHECK(dtype() != DType::kInt8 || shape == this->shape(), "[view] expected an int8 weight in its own shape ",
                ToString(this->shape()), ", which its multipliers belong to, got ", ToString(shape));
  ATTNKIT_CHECK(offset >= 0 && offset + view.impl_->size <= size(), "[view] expected a shape of at most ", size(),
                " numbers, got ", ToString(shape));
  view.impl_->shape = std::move(shape);
  view.impl_->storage = impl_->storage;
  view.impl_->offset = impl_->offset + offset;
  return view;
}

Tensor Tensor::Detach() const { return View(shape()); }

Tensor Tensor::Clone() const {
  if (dtype() != DType::kFloat32) return Copied(*this, context());
  Tensor copy = New(Shape(shape()));
  kernels().Copy(data(), size(), copy.data());
  return copy;
}

Tensor Tensor::To(const Context& other) const { return &other == &context() ? Detach() : Copied(*this, other); }

Tensor Tensor::To(DType type) const {
  if (type == dtype()) return Detach();
  ATTNKIT_CHECK(type == DType::kFloat32 || type == DType::kBFloat16, "[to] expected float32 or bfloat16, got ",
                NameOf(type));
  if (type != DType::kFloat32 && dtype() != DType::kFloat32) return To(DType::kFloat32).To(type);
  Tensor converted(shape(), context(), type);
  if (type == DType::kBFloat16) {
    kernels().Round(data(), size(), converted.bits());
  } else if (dtype() == DType::kInt8) {
    kernels().Dequantize(quantized(), {quantization().multipliers.data()}, rows(), columns(), converted.data());
  } else {
    kernels().Widen(bits(), size(), converted.data());
  }
  return converted;
}

Tensor Tensor::Rounded() const {
  if (size() != storage().size()) return To(DType::kBFloat16);
  Tensor rounded = Detach();
  rounded.impl_->storage = storage().Rounded();
  OpScope::Made(rounded.impl_->storage);
  return rounded;
}

void Tensor::CopyFrom(const void* source) {
  storage().RequireWritable("copy_");
  context().CopyFromHost(source, bytes(), address());
  storage().Touch();
}

void Tensor::Adopt(const Tensor& other) {
  impl_->storage = other.impl_->storage;
  impl_->offset = other.impl_->offset;
  impl_->storage->Settle();
}

void Tensor::set_requires_grad(bool value) {
  ATTNKIT_CHECK(is_leaf(), "[requires_grad] expected a tensor that no op computed; use detach() first");
  ATTNKIT_CHECK(!value || dtype() == DType::kFloat32, "[requires_grad] expected float32, got ", NameOf(dtype()));
  impl_->requires_grad = value;
}

Tensor Tensor::grad() const {
  Tensor grad;
  grad.impl_ = impl_->grad;
  return grad;
}

void Tensor::set_grad(Tensor grad) {
  ATTNKIT_CHECK(!grad || grad.shape() == shape(), "[grad] expected shape ", ToString(shape()), ", got ",
                ToString(grad.shape()));
  impl_->grad = std::move(grad.impl_);
}

std::shared_ptr<const kernels::PackedMatrix> Tensor::Packed(bool transpose, kernels::Precision precision) const {
  const int64_t rows = dim(0), columns = dim(1);
  return transpose ? storage().Packed(offset(), columns, rows, 1, columns, precision)
                   : storage().Packed(offset(), rows, columns, columns, 1, precision);
}

}  // namespace attnkit
