// bfloat16 as bits: the upper half of a float32's.
#pragma once

#include <cstdint>
#include <cstring>

namespace attnkit::kernels {

inline float Widened(uint16_t bits) {
  const uint32_t whole = static_cast<uint32_t>(bits) << 16;
  float number;
  std::memcpy(&number, &whole, sizeof(number));
  return number;
}

// To the nearest, ties to even; NaN becomes a quiet one.
inline uint16_t RoundedBits(float number) {
  uint32_t bits;
  std::memcpy(&bits, &number, sizeof(bits));
  const uint32_t upper = bits >> 16;
  return static_cast<uint16_t>((bits & 0x7fffffff) > 0x7f800000 ? upper | 0x40 : (bits + 0x7fff + (upper & 1)) >> 16);
}

}  // namespace attnkit::kernels
