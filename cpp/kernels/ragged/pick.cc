// One key for each query: the one of largest weight, or a sample.
#include <algorithm>

#include "attnkit/kernels/ragged.h"
#include "kernels/ragged/walk.h"

namespace attnkit::kernels {
namespace {

// Number i of a stream, uniform in (0, 1): 24 bits, so that it is exact and never 0 or 1.
float UniformNumber(PhiloxKey key, int64_t i) {
  uint32_t words[4];
  PhiloxBlock(key, static_cast<uint64_t>(i) / 4, words);
  return (static_cast<float>(words[i % 4] >> 9) + 0.5f) * 0x1p-23f;
}

// The first key at which the running sum of the weights exceeds `share` of their total; never one without weight.
int64_t KeyAtShare(const float* weights, int64_t keys, float share) {
  double total = 0.0;
  for (int64_t j = 0; j < keys; ++j) total += weights[j];
  double sum = 0.0;
  int64_t last = -1;
  for (int64_t j = 0; j < keys; ++j) {
    if (!(weights[j] > 0.0f)) continue;
    sum += weights[j];
    last = j;
    if (sum > share * total) break;
  }
  return last;
}

// out = one-hot rows, where choose(row) says which key, -1 for none.
template <typename Choose>
void OneHotRows(const RaggedShape& shape, float* out, const Choose& choose) {
  ParallelQueries(shape, 4, [&](int64_t begin, int64_t end) {
    for (PairWalk q(shape, begin, end); q; q.Next()) {
      std::fill(out + q.pairs, out + q.pairs + q.keys, 0.0f);
      const int64_t key = choose(q);
      if (key >= 0) out[q.pairs + key] = 1.0f;
    }
  });
}

}  // namespace

void RaggedArgmax(const RaggedShape& shape, const float* weights, float above, float* out) {
  OneHotRows(shape, out, [=](const QueryWalk& q) -> int64_t {
    const float* row = weights + q.pairs;
    const float* largest = std::max_element(row, row + q.keys);
    return *largest > above ? largest - row : -1;
  });
}

void RaggedSample(const RaggedShape& shape, const float* weights, PhiloxKey key, float* out) {
  OneHotRows(shape, out,
             [=](const QueryWalk& q) { return KeyAtShare(weights + q.pairs, q.keys, UniformNumber(key, q.row)); });
}

}  // namespace attnkit::kernels
