// The check of a table of biases by relative position, which attention and its step take.
#pragma once

#include "attnkit/check.h"
#include "attnkit/kernels/attention.h"
#include "attnkit/tensor.h"

namespace attnkit::ops {

inline kernels::PositionBias PositionBiasOf(const char* op, const Tensor& table, int64_t heads, int64_t query_offset) {
  ATTNKIT_CHECK(table.rank() == 2 && table.dim(0) == heads && table.dim(1) % 2 == 1, "[", op,
                "] expected position_bias of shape [", heads, ", 2 * reach + 1], got ", ToString(table.shape()));
  return {heads, table.dim(1) / 2, query_offset};
}

}  // namespace attnkit::ops
