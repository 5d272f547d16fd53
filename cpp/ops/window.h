// Checks of the windows of convolutions and pooling.
#pragma once

#include <limits>

#include "attnkit/check.h"
#include "attnkit/kernels/vision.h"

namespace attnkit::ops {

// Throws std::invalid_argument unless at least one window fits the image with its padding. Bounded so that no sum of
// these overflows.
inline void CheckWindow(const char* op, const kernels::WindowAxis& axis) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  ATTNKIT_CHECK(axis.kernel >= 1 && axis.stride >= 1 && axis.padding >= 0 && axis.kernel <= kMost &&
                    axis.stride <= kMost && axis.padding <= kMost,
                "[", op, "] expected a kernel and stride of at least 1 and padding of at least 0, all below 2^31, got ",
                axis.kernel, ", ", axis.stride, " and ", axis.padding);
  const int64_t padded = axis.size + 2 * axis.padding;
  ATTNKIT_CHECK(padded >= axis.kernel, "[", op, "] expected a kernel of at most ", padded,
                ", the image with padding, got ", axis.kernel);
}

}  // namespace attnkit::ops
