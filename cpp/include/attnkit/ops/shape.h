// The same numbers in another shape, on another device or of another type, and sums.
#pragma once

#include <cstdint>
#include <vector>

#include "attnkit/ops/indices.h"
#include "attnkit/tensor.h"

namespace attnkit::ops {

Tensor Reshape(const Tensor& x, Shape shape);                       // one size may be -1
Tensor Permute(const Tensor& x, const std::vector<int64_t>& axes);  // copies
Tensor Slice(const Tensor& x, int64_t axis, int64_t begin, int64_t end);
Tensor Concatenate(const std::vector<Tensor>& parts, int64_t axis);
Tensor GatherRows(const Tensor& x, const Indices& rows);  // x[rows] along the first axis, in float32
Tensor BroadcastTo(const Tensor& x, const Shape& shape);
Tensor To(const Tensor& x, const Context& context);  // x itself where it lies there
// x itself where it is of that type. No gradient passes: one that needs it throws.
Tensor To(const Tensor& x, DType dtype);
Tensor SumAll(const Tensor& x);  // []
Tensor SumAxis(const Tensor& x, int64_t axis, bool keep);

}  // namespace attnkit::ops
