// Token ids, labels, offsets and row numbers: what ops read beside tensors, and nothing differentiates.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace attnkit::ops {

// Shared with the nodes that need them in backward.
class Indices {
 public:
  Indices() = default;
  explicit Indices(std::vector<int32_t> values)
      : values_(std::make_shared<const std::vector<int32_t>>(std::move(values))) {}
  const int32_t* data() const { return values_ ? values_->data() : nullptr; }
  int64_t size() const { return values_ ? static_cast<int64_t>(values_->size()) : 0; }
  int32_t operator[](int64_t i) const { return (*values_)[i]; }
  explicit operator bool() const { return values_ != nullptr; }

 private:
  std::shared_ptr<const std::vector<int32_t>> values_;
};

}  // namespace attnkit::ops
