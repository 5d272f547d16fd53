// What a convolution counts as, however it is made.
#pragma once

#include "attnkit/kernels/vision.h"
#include "attnkit/profile.h"

namespace attnkit::kernels {

// Forward and both gradients multiply the same numbers. Where windows leave the image they multiply zeros.
inline void CountProducts(const Conv2dShape& s, Precision precision) {
  CountArithmetic(2.0 * s.pixels() * s.depth() * s.out_channels, static_cast<int>(precision));
}

}  // namespace attnkit::kernels
