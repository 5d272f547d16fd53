// The checked layout of a ragged op, kept alive for its backward.
#pragma once

#include <memory>

#include "attnkit/allocator.h"
#include "attnkit/kernels/ragged.h"
#include "attnkit/ops/ragged.h"

namespace attnkit::ops {

class RaggedLayout {
 public:
  // Throws std::invalid_argument, naming `op`, for offsets that do not fit `queries` and `keys` rows; -1: whatever the
  // offsets say. The windows lie where `context` reads them.
  RaggedLayout(const char* op, const RaggedOffsets& offsets, int64_t queries, int64_t keys, const Context& context);

  const kernels::RaggedShape& shape() const { return shape_; }
  // Throws unless x is flat and has a number for each pair.
  void CheckPairs(const char* op, const char* what, const Tensor& x) const;

 private:
  RaggedOffsets offsets_;
  std::shared_ptr<const Buffer<int64_t>> blocks_;
  kernels::RaggedShape shape_;
};

}  // namespace attnkit::ops
