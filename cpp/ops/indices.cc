#include "attnkit/ops.h"

namespace attnkit::ops {

Indices::Indices(const std::vector<int32_t>& values) {
  const auto owner = std::make_shared<const std::vector<int32_t>>(values);
  owner_ = owner;
  data_ = owner->data();
  size_ = static_cast<int64_t>(owner->size());
}

}  // namespace attnkit::ops
