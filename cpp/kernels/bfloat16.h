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

}  // namespace attnkit::kernels
