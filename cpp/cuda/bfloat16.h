// bfloat16 as bits: the upper half of a float32's.
#pragma once

#include <cstdint>

#include "cuda/runtime.h"

namespace attnkit::cuda {

__device__ inline float WidenedBits(uint16_t bits) { return __uint_as_float(static_cast<unsigned>(bits) << 16); }

// To the nearest, ties to even; a NaN stays one, though its payload may lie in the lower half alone.
__device__ inline uint16_t RoundedBits(float x) {
  const unsigned bits = __float_as_uint(x);
  const unsigned rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16, nan = bits >> 16 | 0x40u;
  return static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

}  // namespace attnkit::cuda
