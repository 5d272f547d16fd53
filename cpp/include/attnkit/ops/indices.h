// Token ids, labels, offsets and row numbers: what ops read beside tensors, and nothing differentiates.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "attnkit/allocator.h"
#include "attnkit/tensor.h"

namespace attnkit::ops {

// Numbers that never change, looked through once, when they are made: ops check them against what is known of them.
// Copies share the numbers, also with the nodes that need them in backward.
class Indices {
 public:
  Indices() = default;  // undefined: none were given
  explicit Indices(Buffer<int32_t> values);
  explicit Indices(const std::vector<int32_t>& values) : Indices(Copy(values.data(), values.size())) {}
  static Indices Copy(const int32_t* values, int64_t size);

  const int32_t* data() const { return checked_ ? checked_->values.data() : nullptr; }  // the host's
  // The numbers in the memory of a device, where they are copied once.
  const int32_t* On(const Context& context) const { return context.is_cpu() || !checked_ ? data() : Copied(context); }
  int64_t size() const { return checked_ ? checked_->values.size() : 0; }
  int32_t operator[](int64_t i) const { return checked_->values[i]; }
  explicit operator bool() const { return checked_ != nullptr; }

  // Of at least one number.
  int32_t minimum() const { return checked_->minimum; }
  int32_t maximum() const { return checked_->maximum; }
  // Are all of them numbers of rows of a table that has `rows`?
  bool Within(int64_t rows) const { return !size() || (minimum() >= 0 && maximum() < rows); }
  // The same of those that are not `besides`, as labels of rows that do not count.
  bool Within(int64_t rows, int32_t besides) const;
  // Do they begin with 0 and never fall?
  bool AreOffsets() const { return checked_ && checked_->offsets; }

 private:
  struct CopyOnDevice {
    Storage values;
    const CopyOnDevice* next;
  };
  struct Checked {
    ~Checked();

    Buffer<int32_t> values;
    int32_t minimum = 0, maximum = 0;
    bool offsets = false;
    mutable std::atomic<const CopyOnDevice*> copies{nullptr};  // a list that only grows
  };
  const int32_t* Copied(const Context& context) const;
  std::shared_ptr<const Checked> checked_;
};

}  // namespace attnkit::ops
