// Counter-based random numbers: Philox-4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011).
// Number i of a stream depends on (seed, stream, i) alone, so results do not depend on threads or vector width.
#pragma once

#include <cstdint>

namespace attnkit {

struct PhiloxKey {
  uint64_t seed = 0;
  uint64_t stream = 0;
};

// The four 32-bit words of block `index`: counter = (index low, index high, stream low, stream high), key = seed.
constexpr void PhiloxBlock(PhiloxKey key, uint64_t index, uint32_t out[4]) {
  uint32_t c0 = static_cast<uint32_t>(index), c1 = static_cast<uint32_t>(index >> 32);
  uint32_t c2 = static_cast<uint32_t>(key.stream), c3 = static_cast<uint32_t>(key.stream >> 32);
  uint32_t k0 = static_cast<uint32_t>(key.seed), k1 = static_cast<uint32_t>(key.seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53} * c0, p1 = uint64_t{0xCD9E8D57} * c2;
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0, n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

// Dropout keeps element i when its 16-bit number is at least `DropoutThreshold(p)`, and multiplies it by 1 / (1 - p).
// Element i uses half-word i % 8 of block i / 8: word (i % 8) / 2, its low half when i is even.
constexpr uint32_t DropoutThreshold(float p) { return static_cast<uint32_t>(p * 65536.0f + 0.5f); }

// The generator that ops draw streams from: every random op takes the next stream. Saved in checkpoints.
struct GeneratorState {
  uint64_t seed = 0;
  uint64_t next_stream = 0;
};
void ManualSeed(uint64_t seed);
GeneratorState GetGeneratorState();
void SetGeneratorState(GeneratorState state);
PhiloxKey NextPhiloxKey();

}  // namespace attnkit
