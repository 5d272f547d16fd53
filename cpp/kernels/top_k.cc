// The k largest numbers of each row.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/top_k.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include <algorithm>
#include <cmath>
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

// The k best numbers so far, in a heap with the worst of them on top. NaN counts as -inf.
class Candidates {
 public:
  explicit Candidates(int64_t k) : heap_(k) {}

  void Start(const float* x) {
    for (size_t i = 0; i < heap_.size(); ++i) heap_[i] = {Rank(x[i]), static_cast<int32_t>(i)};
    std::make_heap(heap_.begin(), heap_.end(), Better);
  }

  // Numbers come in rising order of index: one that equals the worst loses to it.
  float threshold() const { return heap_.front().value; }

  void Offer(float value, int64_t index) {
    if (!(value > threshold())) return;
    std::pop_heap(heap_.begin(), heap_.end(), Better);
    heap_.back() = {value, static_cast<int32_t>(index)};
    std::push_heap(heap_.begin(), heap_.end(), Better);
  }

  void Write(const float* x, float* values, int32_t* indices) {
    std::sort_heap(heap_.begin(), heap_.end(), Better);
    for (size_t i = 0; i < heap_.size(); ++i) {
      indices[i] = heap_[i].index;
      values[i] = x[heap_[i].index];
    }
  }

 private:
  struct Entry {
    float value;
    int32_t index;
  };
  static float Rank(float value) { return std::isnan(value) ? -std::numeric_limits<float>::infinity() : value; }
  static bool Better(Entry a, Entry b) { return a.value > b.value || (a.value == b.value && a.index < b.index); }

  std::vector<Entry> heap_;
};

}  // namespace attnkit::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

HWY_INLINE bool AnyAbove(FloatVec v, FloatVec threshold) { return !hn::AllFalse(Floats(), hn::Gt(v, threshold)); }

// Few numbers of a row ever pass the threshold: whole groups of vectors are passed over by one comparison.
void TopKRows(const float* x, int64_t rows, int64_t columns, int64_t k, float* values, int32_t* indices) {
  const Floats d;
  const int64_t lanes = FloatLanes(), group = 4 * lanes;
  Candidates best(k);
  for (int64_t r = 0; r < rows; ++r, x += columns, values += k, indices += k) {
    best.Start(x);
    int64_t i = k;
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
