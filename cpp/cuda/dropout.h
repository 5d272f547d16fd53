// What dropout multiplies a number by, from the numbers of attnkit/random.h: the same on every device.
#pragma once

#include <cstdint>

#include "attnkit/random.h"
#include "cuda/runtime.h"

namespace attnkit::cuda {

class DropoutRule {
 public:
  DropoutRule(float p, PhiloxKey key)
      : key_(key), threshold_(DropoutThreshold(p)), scale_(p > 0.0f ? 1.0f / (1.0f - p) : 1.0f), active_(p > 0.0f) {}

  __device__ bool active() const { return active_; }
  // 0 where the element is dropped, 1 / (1 - p) where it is kept; 1 without dropout. A thread that walks through
  // neighbours had better take Factors, a block of Philox for eight.
  __device__ float Factor(uint64_t element) const {
    if (!active_) return 1.0f;
    uint32_t words[4];
    PhiloxBlock(key_, element / 8, words);
    return Of(words, static_cast<int>(element % 8));
  }
  // Those of elements 8 * block to 8 * block + 7.
  __device__ void Factors(uint64_t block, float factors[8]) const {
    uint32_t words[4] = {0, 0, 0, 0};
    if (active_) PhiloxBlock(key_, block, words);
    for (int i = 0; i < 8; ++i) factors[i] = active_ ? Of(words, i) : 1.0f;
  }

 private:
  __device__ float Of(const uint32_t words[4], int half) const {
    const uint32_t number = words[half / 2] >> (half % 2 * 16) & 0xffffu;
    return number >= threshold_ ? scale_ : 0.0f;
  }

  PhiloxKey key_;
  uint32_t threshold_;
  float scale_;
  bool active_;
};

}  // namespace attnkit::cuda
