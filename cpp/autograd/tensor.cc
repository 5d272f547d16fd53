#include "attnkit/tensor.h"

#include <mutex>
#include <tuple>

#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/cpu.h"
#include "attnkit/kernels/memory.h"
#include "attnkit/op_scope.h"
#include "base/fork_safe_mutex.h"

namespace attnkit {
namespace {

ForkSafeMutex mutex;  // of what all storages know of their packed copies

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

Storage::Storage(int64_t size) : data_(AllocateArray<float>(size)), size_(size) {}

Storage::Storage(float* data, int64_t size, Loan loan)
    : data_(data), size_(size), loan_(std::move(loan)), exposed_(!loan_.constant) {}

Storage::~Storage() {
  if (borrowed()) {
    loan_.release();
  } else {
    Free(data_, size_ * sizeof(float));
  }
}

void Storage::RequireWritable(const char* op) const {
  ATTNKIT_CHECK(writable(), "[", op, "] expected memory that may be written, got a read-only array");
}

void Storage::Touch() { Forget(false); }
void Storage::Expose() { Forget(true); }

void Storage::Forget(bool expose) {
  Packings stale;  // freed when the mutex is not held any more: the allocator has one of its own
  std::lock_guard<ForkSafeMutex> lock(mutex);
  exposed_ |= expose;
  ++writes_;
  stale.swap(packed_);
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
  auto packed = std::make_shared<const kernels::PackedMatrix>(
      kernels::PackMatrix(data_ + offset, k, n, row_stride, column_stride, precision));
  std::lock_guard<ForkSafeMutex> lock(mutex);
  if (!exposed_ && writes_ == writes_before) packed_.emplace(key, packed);
  return packed;
}

Tensor::Tensor(Shape shape) : impl_(std::make_shared<Impl>()) {
  impl_->size = SizeOf(shape);
  impl_->shape = std::move(shape);
  impl_->storage = std::make_shared<Storage>(impl_->size);
  OpScope::Made(impl_->storage);
}

Tensor Tensor::Full(Shape shape, float value) {
  Tensor tensor(std::move(shape));
  kernels::Fill(value, tensor.size(), tensor.data());
  return tensor;
}

Tensor Tensor::Zeros(Shape shape) { return Full(std::move(shape), 0.0f); }

Tensor Tensor::Borrow(float* data, Shape shape, Loan loan) {
  Tensor tensor;
  tensor.impl_ = std::make_shared<Impl>();
  tensor.impl_->size = SizeOf(shape);
  tensor.impl_->shape = std::move(shape);
  tensor.impl_->storage = std::make_shared<Storage>(data, tensor.impl_->size, std::move(loan));
  return tensor;
}

Tensor Tensor::View(Shape shape, int64_t offset) const {
  Tensor view;
  view.impl_ = std::make_shared<Impl>();
  view.impl_->size = SizeOf(shape);
  ATTNKIT_CHECK(offset >= 0 && offset + view.impl_->size <= size(), "[view] expected a shape of at most ", size(),
                " numbers, got ", ToString(shape));
  view.impl_->shape = std::move(shape);
  view.impl_->storage = impl_->storage;
  view.impl_->offset = impl_->offset + offset;
  return view;
}

Tensor Tensor::Detach() const { return View(shape()); }

Tensor Tensor::Clone() const {
  Tensor copy{Shape(shape())};
  kernels::Copy(data(), size(), copy.data());
  return copy;
}

void Tensor::CopyFrom(const float* source) {
  storage().RequireWritable("copy_");
  kernels::Copy(source, size(), data());
  storage().Touch();
}

void Tensor::Adopt(float* data, Loan loan) {
  loan.constant = true;
  impl_->storage = std::make_shared<Storage>(data, size(), std::move(loan));
  impl_->offset = 0;
}

void Tensor::set_requires_grad(bool value) {
  ATTNKIT_CHECK(is_leaf(), "[requires_grad] expected a tensor that no op computed; use detach() first");
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
