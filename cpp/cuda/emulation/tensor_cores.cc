#include "cuda/emulation/tensor_cores.h"

#include <atomic>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

#include "cuda/device.h"
#include "cuda/emulation/runtime.h"

namespace attnkit::emulation {
namespace {

constexpr unsigned kAll = 0xffffffffu;
std::atomic<bool> tensor_cores{true};

// The upper half of a float32.
double Widened(uint64_t bits) { return __uint_as_float(static_cast<unsigned>(bits & 0xffffu) << 16); }

// To the float32 that is not farther from zero. What would be infinite is.
float CutOff(double x) {
  const auto nearest = static_cast<float>(x);
  return std::isfinite(nearest) && std::fabs(static_cast<double>(nearest)) > std::fabs(x)
             ? std::nextafter(nearest, 0.0f)
             : nearest;
}

// The sixteen numbers of vector `v` of a fragment, of which the lanes offered words `first` and the next one.
void VectorOf(const OfferedWords* offered, int first, int v, double (&numbers)[16]) {
  for (int d = 0; d < 16; ++d) {
    const OfferedWords& lane = offered[v % 8 * 4 + d % 8 / 2];
    const int pair = d / 8 * 2 + v / 8;  // two of them to a word
    numbers[d] = Widened(lane.words[first + pair / 2] >> (pair % 2 * 32 + d % 2 * 16));
  }
}

}  // namespace

void LoadFragment(const uint16_t* row, bool transposed, unsigned (&to)[4], const char* file, int line) {
  if (reinterpret_cast<uintptr_t>(row) % 16)
    throw std::logic_error("[cuda] expected a fragment's numbers at a multiple of 16 bytes, got address " +
                           std::to_string(reinterpret_cast<uintptr_t>(row)));
  uint64_t words[2];
  std::memcpy(words, row, sizeof words);
  const OfferedWords* offered = Offer(kAll, words, 2, file, line);
  const int g = Lane() / 4, t = Lane() % 4;
  for (int i = 0; i < 4; ++i) {
    to[i] = 0;
    for (int j = 0; j < 2; ++j) {
      const int r = transposed ? 2 * t + j : g, c = transposed ? g : 2 * t + j;
      to[i] |= static_cast<unsigned>(offered[8 * i + r].words[c / 4] >> (c % 4 * 16) & 0xffffu) << (16 * j);
    }
  }
}

void MultiplyFragments(const unsigned (&a)[4], const unsigned (&b)[4], float (&sums)[8], const char* file, int line) {
  uint64_t words[4];
  std::memcpy(words, a, sizeof a);
  std::memcpy(words + 2, b, sizeof b);
  const OfferedWords* offered = Offer(kAll, words, 4, file, line);
  double rows[2][16], columns[4][16];
  for (int i = 0; i < 2; ++i) VectorOf(offered, 0, Lane() / 4 + 8 * i, rows[i]);
  for (int j = 0; j < 4; ++j) VectorOf(offered, 2, Lane() % 4 * 2 + j % 2 + j / 2 * 8, columns[j]);
  for (int i = 0; i < 8; ++i) {
    const double(&row)[16] = rows[i / 2 % 2];
    const double(&column)[16] = columns[i / 4 * 2 + i % 2];
    for (int first = 0; first < 16; first += 8) {
      double sum = sums[i];
      for (int d = first; d < first + 8; ++d) sum += row[d] * column[d];
      sums[i] = CutOff(sum);
    }
  }
}

void SetTensorCores(bool there) { tensor_cores = there; }

}  // namespace attnkit::emulation

bool attnkit::cuda::HasTensorCores() { return emulation::tensor_cores; }
