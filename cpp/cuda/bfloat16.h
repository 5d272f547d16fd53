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

// Of two numbers, the first in the lower half.
__device__ inline unsigned RoundedPair(float low, float high) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  unsigned pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
#else
  return RoundedBits(low) | static_cast<unsigned>(RoundedBits(high)) << 16;
#endif
}

}  // namespace attnkit::cuda
