// The k largest numbers of each row.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/top_k.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "attnkit/check.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/threads.h"
#include "kernels/dispatch.h"
#include "kernels/grain.h"
#include "kernels/vector-inl.h"

#ifndef ATTNKIT_KERNELS_TOP_K_CANDIDATES
#define ATTNKIT_KERNELS_TOP_K_CANDIDATES
namespace attnkit::kernels {

// The numbers of a row that may be among its k largest: some more than k, cut down to k when there are too many. NaN
// counts as -inf.
class Candidates {
 public:
  explicit Candidates(int64_t k) : k_(k), capacity_(k + std::max<int64_t>(k, 64)) { entries_.reserve(capacity_); }

  // Of a row that has k numbers of at least `floor`; the others need not be offered.
  void StartFrom(float floor) {
    entries_.clear();
    threshold_ = std::nextafter(floor, -std::numeric_limits<float>::infinity());
  }

  // Of a row that nothing is known about: takes its first numbers, returns how many.
  int64_t Start(const float* x, int64_t columns) {
    const int64_t count = std::min(columns, capacity_);
    entries_.clear();
    for (int64_t i = 0; i < count; ++i) entries_.push_back({Rank(x[i]), static_cast<int32_t>(i)});
    Cut();
    return count;
  }

  // Numbers come in rising order of index: one that equals the k-th best loses to it.
  float threshold() const { return threshold_; }

  void Offer(float value, int64_t index) {
    if (!(value > threshold_)) return;
    entries_.push_back({value, static_cast<int32_t>(index)});
    if (static_cast<int64_t>(entries_.size()) == capacity_) Cut();
  }

  void Write(const float* x, float* values, int32_t* indices) {
    Cut();
    std::sort(entries_.begin(), entries_.end(), Better);
    for (int64_t i = 0; i < k_; ++i) {
      indices[i] = entries_[i].index;
      values[i] = x[entries_[i].index];
    }
  }

 private:
  struct Entry {
    float value;
    int32_t index;
  };
  static float Rank(float value) { return std::isnan(value) ? -std::numeric_limits<float>::infinity() : value; }
  static bool Better(Entry a, Entry b) { return a.value > b.value || (a.value == b.value && a.index < b.index); }

  void Cut() {
    std::nth_element(entries_.begin(), entries_.begin() + (k_ - 1), entries_.end(), Better);
    entries_.resize(k_);
    threshold_ = entries_.back().value;
  }

  int64_t k_, capacity_;
  float threshold_ = 0.0f;
  std::vector<Entry> entries_;
};

}  // namespace attnkit::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

HWY_INLINE bool AnyAbove(FloatVec v, FloatVec threshold) { return !hn::AllFalse(Floats(), hn::Gt(v, threshold)); }

// A number that at least k of the row reach, found without a branch: each lane of several accumulators has the maximum
// of numbers of its own, and k of these maxima are at least as large as the k-th of them. -inf where that tells
// nothing.
HWY_INLINE float Floor(const float* x, int64_t columns, int64_t k) {
  const Floats d;
  constexpr int kAccumulators = 8;
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  const int64_t lanes = FloatLanes(), maxima = kAccumulators * lanes;
  if (2 * k > maxima || columns < 4 * maxima) return kNone;
  FloatVec largest[kAccumulators];
  for (auto& vector : largest) vector = hn::Set(d, kNone);
  ForVectors<kAccumulators>(columns, [&](auto access, int64_t i, int slot) ATTNKIT_BODY {
    largest[slot] = hn::Max(largest[slot], access.Fill(access.Load(x + i), hn::Set(d, kNone)));
  });
  HWY_ALIGN float values[kAccumulators * hn::MaxLanes(d)];
  for (int a = 0; a < kAccumulators; ++a) hn::Store(largest[a], d, values + a * lanes);
  std::replace_if(
      values, values + maxima, [](float value) { return std::isnan(value); }, kNone);
  std::nth_element(values, values + (k - 1), values + maxima, std::greater<float>());
  return values[k - 1];
}

// Few numbers of a row pass the threshold: whole groups of vectors are passed over by one comparison.
void TopKRows(const float* x, int64_t rows, int64_t columns, int64_t k, float* values, int32_t* indices) {
  const Floats d;
  const int64_t lanes = FloatLanes(), group = 4 * lanes;
  Candidates best(k);
  for (int64_t r = 0; r < rows; ++r, x += columns, values += k, indices += k) {
    int64_t i = 0;
    const float floor = Floor(x, columns, k);
    if (floor > -std::numeric_limits<float>::infinity()) {
      best.StartFrom(floor);
    } else {
      i = best.Start(x, columns);
    }
    for (; i + group <= columns; i += group) {
      const FloatVec threshold = hn::Set(d, best.threshold());
      const FloatVec v0 = hn::LoadU(d, x + i), v1 = hn::LoadU(d, x + i + lanes);
      const FloatVec v2 = hn::LoadU(d, x + i + 2 * lanes), v3 = hn::LoadU(d, x + i + 3 * lanes);
      const auto above = hn::Or(hn::Or(hn::Gt(v0, threshold), hn::Gt(v1, threshold)),
                                hn::Or(hn::Gt(v2, threshold), hn::Gt(v3, threshold)));
      if (hn::AllFalse(d, above)) continue;
      for (int64_t j = i; j < i + group; j += lanes) {
        if (!AnyAbove(hn::LoadU(d, x + j), threshold)) continue;
        for (int64_t c = j; c < j + lanes; ++c) best.Offer(x[c], c);
      }
    }
    for (; i < columns; ++i) best.Offer(x[i], i);
    best.Write(x, values, indices);
  }
}

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {

void TopK(const float* x, int64_t rows, int64_t columns, int64_t k, float* values, int32_t* indices) {
  ATTNKIT_CHECK(k >= 1 && k <= columns, "[top_k] expected k in [1, ", columns, "], got ", k);
  auto* kernel = ATTNKIT_DISPATCH(TopKRows);
  ParallelFor(rows, 2 * RowGrain(columns), [=](int64_t begin, int64_t end) {
    kernel(x + begin * columns, end - begin, columns, k, values + begin * k, indices + begin * k);
  });
}

}  // namespace attnkit::kernels
#endif
