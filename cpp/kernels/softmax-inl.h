// The exponentials of a row and their sum in one pass over memory ("online softmax": Milakov & Gimelshein, 2018), by
// blocks.

#if defined(ATTNKIT_KERNELS_SOFTMAX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTNKIT_KERNELS_SOFTMAX_INL_H_
#undef ATTNKIT_KERNELS_SOFTMAX_INL_H_
#else
#define ATTNKIT_KERNELS_SOFTMAX_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "hwy/cache_control.h"
#include "kernels/math-inl.h"
#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

// A row is cut into blocks that stay in the first-level cache between the search for the maximum and the exponentials.
// Each block is shifted by its own maximum, and brought to the row's maximum when the row is finished.
class ExpRow {
 public:
  explicit ExpRow(int64_t columns)
      : columns_(columns), block_(std::max<int64_t>(kMinBlock, (columns + kMaxBlocks - 1) / kMaxBlocks)) {
    blocks_ = (columns + block_ - 1) / block_;
  }

  // Stores e^(x - maximum of the block) to `to` (may equal x) if kStore; Finish brings it to the row's maximum. Sums up
  // x itself if kTotal.
  template <bool kStore, bool kTotal = false>
  HWY_INLINE void Run(const float* x, float* to) {
    Run<kStore, kTotal>(x, to, [](int64_t) ATTNKIT_BODY {});
  }

  // The same, with other work between the blocks: after_block(b).
  template <bool kStore, bool kTotal, class AfterBlock>
  HWY_INLINE void Run(const float* x, float* to, const AfterBlock& after_block) {
    total_ = 0.0f;
    for (int64_t b = 0; b < blocks_; ++b) {
      const int64_t first = b * block_, count = std::min(block_, columns_ - first);
      const float maximum = Maximum<kTotal>(x + first, count);
      // A block of -inf is shifted by nothing: -inf - -inf would be NaN.
      shift_[b] = maximum == -std::numeric_limits<float>::infinity() ? 0.0f : maximum;
      sum_[b] = SumExp<kStore>(x + first, count, shift_[b], to + first);
      maximum_ = b == 0 || maximum > maximum_ ? maximum : maximum_;
      after_block(b);
    }
    if (blocks_ == 1) {
      factor_[0] = 1.0f;
      row_sum_ = sum_[0];
    } else {
      CombineBlocks();
    }
  }

  float maximum() const { return maximum_; }
  float sum() const { return row_sum_; }  // of e^(x - maximum); 0 for a row of -inf
  float total() const { return total_; }  // of x

  // to[c] = e^(x[c] - maximum) * scale + offset, from what Run stored. A row of -inf has only the offset.
  HWY_INLINE void Finish(const float* stored, float scale, float offset, bool stream, float* to) const {
    for (int64_t b = 0; b < blocks_; ++b) FinishBlock(b, stored, scale, offset, stream, to);
  }

  HWY_INLINE void FinishBlock(int64_t b, const float* stored, float scale, float offset, bool stream, float* to) const {
    const Floats d;
    const int64_t first = b * block_, count = std::min(block_, columns_ - first);
    const FloatVec factor = hn::Set(d, factor_[b] * scale), shift = hn::Set(d, offset);
    ForStoredVectors(stream, to + first, count, [=](auto access, int64_t i, int) ATTNKIT_BODY {
      access.Store(hn::MulAdd(access.Load(stored + first + i), factor, shift), to + first + i);
    });
  }

 private:
  static constexpr int64_t kMinBlock = 2048, kMaxBlocks = 64;

  template <bool kTotal>
  HWY_INLINE float Maximum(const float* x, int64_t count) {
    const Floats d;
    const FloatVec lowest = hn::Set(d, -std::numeric_limits<float>::infinity());
    FloatSlots largest(-std::numeric_limits<float>::infinity()), total(0.0f);
    ForVectors(count, [&](auto access, int64_t i, int slot) ATTNKIT_BODY {
      const FloatVec v = access.Load(x + i);
      largest.v[slot] = hn::Max(largest.v[slot], access.Fill(v, lowest));
      if (kTotal) total.v[slot] = hn::Add(total.v[slot], v);
    });
    if (kTotal) total_ += total.Sum();
    return largest.Largest();
  }

  template <bool kStore>
  HWY_INLINE float SumExp(const float* x, int64_t count, float shift, float* to) {
    const Floats d;
    const FloatVec shifts = hn::Set(d, shift);
    FloatSlots sum(0.0f);
    ForVectors(count, [&](auto access, int64_t i, int slot) ATTNKIT_BODY {
      hwy::Prefetch(x + i +
                    kMinBlock);  // the arithmetic here leaves memory idle, the next block's maximum waits for it
      const FloatVec e = FastExp(d, hn::Sub(access.Load(x + i), shifts));
      if (kStore) access.Store(e, to + i);
      sum.v[slot] = hn::Add(sum.v[slot], access.ZeroRest(e));
    });
    return sum.Sum();
  }

  HWY_INLINE void CombineBlocks() {
    const Floats d;
    const float row_shift = maximum_ == -std::numeric_limits<float>::infinity() ? 0.0f : maximum_;
    FloatSlots sum(0.0f);
    ForVectors(blocks_, [&](auto access, int64_t b, int slot) ATTNKIT_BODY {
      const FloatVec factor = FastExp(d, hn::Sub(access.Load(shift_ + b), hn::Set(d, row_shift)));
      access.Store(factor, factor_ + b);
      sum.v[slot] = hn::MulAdd(access.Load(sum_ + b), access.ZeroRest(factor), sum.v[slot]);
    });
    row_sum_ = sum.Sum();
  }

  int64_t columns_, block_, blocks_;
  float maximum_ = 0.0f, total_ = 0.0f, row_sum_ = 0.0f;
  float shift_[kMaxBlocks], sum_[kMaxBlocks], factor_[kMaxBlocks];
};

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
