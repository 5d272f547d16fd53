// Tensor: an array in row-major order on a device, with an optional place in the tape.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "attnkit/context.h"
#include "attnkit/dtype.h"
#include "attnkit/kernels/gemm.h"

namespace attnkit {

using Shape = std::vector<int64_t>;

int64_t SizeOf(const Shape& shape);        // throws when a size is negative or the product overflows
std::string ToString(const Shape& shape);  // "[2, 8, 64]"

class Node;

// Memory from elsewhere (NumPy, DLPack): how it is given back, and what may happen to it until then.
struct Loan {
  std::function<void()> release;
  bool writable = true;  // false: it may lie in pages that cannot be written, or under an object that never changes
};

// The memory of one or more tensors: from the allocator of its context, or borrowed.
class Storage {
 public:
  Storage(const Context& context, DType dtype, int64_t size);  // `size` numbers; throws std::bad_alloc
  Storage(const Context& context, DType dtype, void* data, int64_t size, Loan loan);
  // Of int8: what its bytes stand for.
  void SetQuantization(std::shared_ptr<const kernels::Quantization> quantization) {
    quantization_ = std::move(quantization);
  }
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  const Context& context() const { return context_; }
  DType dtype() const { return dtype_; }
  void* data() const { return data_; }
  int64_t size() const { return size_; }
  bool borrowed() const { return static_cast<bool>(loan_.release); }
  bool writable() const { return loan_.writable; }
  const std::shared_ptr<const kernels::Quantization>& quantization() const { return quantization_; }

  // Must precede every write in place of memory that a caller chose; throws std::invalid_argument.
  void RequireWritable(const char* op) const;
  // Must follow it: packed copies are then made anew.
  void Touch();
  // Somebody outside can write here without telling: packed copies are never kept from now on.
  void Expose();
  // Nobody outside writes here any more.
  void Settle();

  // `matrix` packed as the right-hand side of a product; kept until the storage is written. The offset is in numbers.
  std::shared_ptr<const kernels::PackedMatrix> Packed(int64_t offset, int64_t k, int64_t n, int64_t row_stride,
                                                      int64_t column_stride, kernels::Precision precision);
  // float32 rounded to bfloat16, one copy for all who ask while one of them holds it.
  std::shared_ptr<Storage> Rounded();
  // That somebody keeps these numbers for backward: a rounded copy would be kept beside them.
  void Keep() { kept_.store(true, std::memory_order_relaxed); }
  bool kept() const { return kept_.load(std::memory_order_relaxed); }

 private:
  struct PackKey {
    int64_t offset, k, n, row_stride, column_stride;
    int precision, isa;
    bool operator<(const PackKey& other) const;
  };
  using Packings = std::map<PackKey, std::shared_ptr<const kernels::PackedMatrix>>;

  void Forget(bool expose);
  kernels::PackedMatrix PackNow(int64_t offset, int64_t k, int64_t n, int64_t row_stride, int64_t column_stride,
                                kernels::Precision precision) const;

  const Context& context_;
  DType dtype_;
  void* data_ = nullptr;
  int64_t size_ = 0;
  Loan loan_;
  std::shared_ptr<const kernels::Quantization> quantization_;  // of int8, and only then
  // What follows is read and written under one mutex for all storages.
  bool exposed_ = false;
  uint64_t writes_ = 0;  // so that what was packed during a write is not kept
  Packings packed_;
  std::weak_ptr<Storage> rounded_;
  std::atomic<bool> kept_{false};
};

// A handle; copies share the array and the place in the tape.
class Tensor {
 public:
  Tensor() = default;
  // Uninitialised. An op makes what it gives by New, where its inputs lie.
  explicit Tensor(Shape shape, const Context& context = Cpu(), DType dtype = DType::kFloat32);
  static Tensor Zeros(Shape shape, const Context& context = Cpu());
  static Tensor Full(Shape shape, float value, const Context& context = Cpu());
  static Tensor Borrow(void* data, Shape shape, Loan loan, DType dtype = DType::kFloat32,
                       const Context& context = Cpu());

  // float32 tensors on the device of this one.
  Tensor New(Shape shape) const { return Tensor(std::move(shape), context()); }
  Tensor NewZeros(Shape shape) const { return Zeros(std::move(shape), context()); }
  Tensor NewFull(Shape shape, float value) const { return Full(std::move(shape), value, context()); }

  explicit operator bool() const { return impl_ != nullptr; }
  // The same for all handles of one tensor, as long as there is one.
  const void* id() const { return impl_.get(); }
  const Shape& shape() const { return impl_->shape; }
  int64_t dim(int64_t axis) const { return impl_->shape[axis < 0 ? axis + rank() : axis]; }
  int64_t rank() const { return static_cast<int64_t>(impl_->shape.size()); }
  int64_t size() const { return impl_->size; }
  // The shape as a matrix: all axes but the last are rows.
  int64_t columns() const { return rank() ? dim(-1) : 1; }
  int64_t rows() const { return columns() ? size() / columns() : SizeOf({shape().begin(), shape().end() - 1}); }
  const Context& context() const { return impl_->storage->context(); }
  const Kernels& kernels() const { return context().kernels(); }
  DType dtype() const { return impl_->storage->dtype(); }
  int64_t bytes() const { return size() * BytesOf(dtype()); }
  // Where the numbers are, in the device's memory: of any type, of float32, of bfloat16 as bits, and of int8.
  void* address() const { return static_cast<char*>(impl_->storage->data()) + impl_->offset * BytesOf(dtype()); }
  float* data() const { return static_cast<float*>(impl_->storage->data()) + impl_->offset; }
  uint16_t* bits() const { return static_cast<uint16_t*>(impl_->storage->data()) + impl_->offset; }
  int8_t* quantized() const { return static_cast<int8_t*>(impl_->storage->data()) + impl_->offset; }
  // Of an int8 weight, which is a matrix of its own memory: a multiplier for each row.
  const kernels::Quantization& quantization() const { return *impl_->storage->quantization(); }
  Storage& storage() const { return *impl_->storage; }
  int64_t offset() const { return impl_->offset; }

  // The same memory under another shape of the same size, outside the tape.
  Tensor View(Shape shape, int64_t offset = 0) const;
  // The same memory outside the tape.
  Tensor Detach() const;
  Tensor Clone() const;
  // Outside the tape: on another device, or of another type, rounded to the nearest (ties to even). Itself where it is
  // that already.
  Tensor To(const Context& context) const;
  Tensor To(DType dtype) const;
  // To(DType::kBFloat16) in memory that is shared with all who ask for it, so that nobody may write there.
  Tensor Rounded() const;
  // From and to memory of the host, of this tensor's type.
  void CopyFrom(const void* source);
  void CopyTo(void* to) const { context().CopyToHost(address(), bytes(), to); }
  // This tensor is the memory of that one from now on, which nobody else will write: its device and its type are those
  // of the other. Tensors that shared its old memory keep it.
  void Adopt(const Tensor& other);

  // Of a leaf of another type than float32, no.
  bool requires_grad() const { return impl_ && ((impl_->requires_grad && dtype() == DType::kFloat32) || impl_->node); }
  bool is_leaf() const { return !impl_->node; }
  void set_requires_grad(bool value);
  Tensor grad() const;
  void set_grad(Tensor grad);
  const std::shared_ptr<Node>& node() const { return impl_->node; }
  int output_index() const { return impl_->output_index; }

  // This matrix [k, n] (or its transpose) packed as a right-hand side.
  std::shared_ptr<const kernels::PackedMatrix> Packed(bool transpose, kernels::Precision precision) const;

  // Does nobody else hold this memory? Borrowed memory somebody always does.
  bool IsSoleOwner() const {
    return impl_.use_count() == 1 && impl_->storage.use_count() == 1 && !impl_->storage->borrowed();
  }
  bool SameAs(const Tensor& other) const { return impl_ == other.impl_; }

 private:
  struct Impl {
    std::shared_ptr<Storage> storage;
    int64_t offset = 0;
    Shape shape;
    int64_t size = 0;
    bool requires_grad = false;
    std::shared_ptr<Impl> grad;
    std::shared_ptr<Node> node;  // what computed it; null for a leaf
    int output_index = 0;
  };

  std::shared_ptr<Impl> impl_;

  friend class Node;
  friend void Record(const char* name, std::vector<Tensor> inputs, std::vector<Tensor*> outputs,
                     std::function<std::vector<Tensor>(std::vector<Tensor>&)> backward);
};

}  // namespace attnkit
