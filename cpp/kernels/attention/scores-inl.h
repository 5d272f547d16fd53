// What happens to a tile of scores between the products: scale, softcap, mask, and reductions along rows.

#if defined(ATTNKIT_KERNELS_ATTENTION_SCORES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTNKIT_KERNELS_ATTENTION_SCORES_INL_H_
#undef ATTNKIT_KERNELS_ATTENTION_SCORES_INL_H_
#else
#define ATTNKIT_KERNELS_ATTENTION_SCORES_INL_H_
#endif

#include <limits>

#include "kernels/attention/pack-inl.h"
#include "kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::attention::HWY_NAMESPACE {

constexpr float kNegativeInfinity = -std::numeric_limits<float>::infinity();

HWY_INLINE Vector Exp(Vector x) { return FastExp(FloatTag(), x); }

// Lanes j, j + 1, ... that lie in the range.
HWY_INLINE hn::Mask<FloatTag> LanesIn(Range range, int64_t j) {
  const FloatTag d;
  const Vector lane = hn::Iota(d, 0.0f);
  return hn::And(hn::Ge(lane, hn::Set(d, static_cast<float>(range.begin - j))),
                 hn::Lt(lane, hn::Set(d, static_cast<float>(range.end - j))));
}

// How ForScores hands out vectors of scores: with all lanes in range, or some.
struct AllLanes {
  HWY_INLINE Vector Keep(Vector v, Vector) const { return v; }
};
struct SomeLanes {
  hn::Mask<FloatTag> in;
  HWY_INLINE Vector Keep(Vector v, Vector otherwise) const { return hn::IfThenElse(in, v, otherwise); }
};

// Calls body(lanes, j) for the vectors, at multiples of kLanes, that touch the range.
template <class Body>
HWY_INLINE void ForScores(Range range, const Body& body) {
  if (range.empty()) return;
  int64_t j = range.begin / kLanes * kLanes;
  if (j < range.begin) {
    body(SomeLanes{LanesIn(range, j)}, j);
    j += kLanes;
  }
  for (; j + kLanes <= range.end; j += kLanes) body(AllLanes(), j);
  if (j < range.end) body(SomeLanes{LanesIn(range, j)}, j);
}

// Zeros in the vectors that touch `seen` but not `range`.
HWY_INLINE void ZeroOutside(Range seen, Range range, float* scores) {
  const FloatTag d;
  const int64_t begin = seen.begin / kLanes * kLanes;
  const int64_t left = range.empty() ? RoundUp(seen.end, kLanes) : range.begin / kLanes * kLanes;
  for (int64_t j = begin; j < left; j += kLanes) hn::Store(hn::Zero(d), d, scores + j);
  for (int64_t j = std::max(left, RoundUp(range.end, kLanes)); j < seen.end; j += kLanes)
    hn::Store(hn::Zero(d), d, scores + j);
}

struct MaxOp {
  template <class V>
  HWY_INLINE V operator()(V a, V b) const {
    return hn::Max(a, b);
  }
};
struct AddOp {
  template <class V>
  HWY_INLINE V operator()(V a, V b) const {
    return hn::Add(a, b);
  }
};

#if HWY_TARGET != HWY_SCALAR
// Folds the 128-bit blocks of v onto the first and stores its four numbers.
template <class Op, class D>
HWY_INLINE void FoldBlocks(const Op& op, D d, hn::Vec<D> v, float* to) {
  if constexpr (hn::MaxLanes(d) > 4) {
    const hn::Half<D> half;
    FoldBlocks(op, half, op(hn::LowerHalf(half, v), hn::UpperHalf(half, v)), to);
  } else {
    hn::StoreU(v, d, to);
  }
}
#endif

// to[r] = all lanes of vr together, for four vectors at once.
template <class Op>
HWY_INLINE void ReduceFour(const Op& op, Vector v0, Vector v1, Vector v2, Vector v3, float* to) {
#if HWY_TARGET == HWY_SCALAR
  static_cast<void>(op);
  to[0] = hn::GetLane(v0), to[1] = hn::GetLane(v1), to[2] = hn::GetLane(v2), to[3] = hn::GetLane(v3);
#else
  TransposeBlocks(v0, v1, v2, v3);
  FoldBlocks(op, FloatTag(), op(op(v0, v1), op(v2, v3)), to);
#endif
}

// to[r] = all lanes of row r of `partial` [rows, kLanes] together; rows are rounded up to four.
template <class Op>
HWY_INLINE void ReduceRows(const Op& op, const float* partial, int64_t rows, float* to) {
  const FloatTag d;
  for (int64_t r = 0; r < rows; r += 4) {
    const float* from = partial + r * kLanes;
    ReduceFour(op, hn::Load(d, from), hn::Load(d, from + kLanes), hn::Load(d, from + 2 * kLanes),
               hn::Load(d, from + 3 * kLanes), to + r);
  }
}

// Softcap and mask of one (sequence, head). Where there is neither, scores stay raw products and `factor`, which is
// never negative, scales them later.
class ScoreRules {
 public:
  ScoreRules() = default;
  // `row` is scratch for a row of keys, padded.
  ScoreRules(const AttentionShape& shape, int64_t b, int64_t h, float* row) : shape_(&shape), row_(row) {
    offset_ = b * shape.mask_strides[0] + h * shape.mask_strides[1];
  }

  bool plain() const { return shape_->softcap <= 0.0f && shape_->mask_kind == MaskKind::kNone && shape_->scale > 0.0f; }
  float factor() const { return plain() ? shape_->scale : 1.0f; }

  // scores[j] becomes the final score of (i, first + j) for the vectors that touch `range`. If `slope` is not null the
  // derivative of the softcap goes there.
  void Apply(int64_t i, int64_t first, Range range, float* scores, float* slope) {
    const FloatTag d;
    const bool capped = shape_->softcap > 0.0f, masked = shape_->mask_kind != MaskKind::kNone;
    if (masked) ReadMask(i, first, range);
    const Vector scale = hn::Set(d, shape_->scale), cap = hn::Set(d, shape_->softcap);
    const Vector inner = hn::Set(d, capped ? shape_->scale / shape_->softcap : 0.0f), one = hn::Set(d, 1.0f);
    const Vector lowest = hn::Set(d, kNegativeInfinity);
    for (int64_t j = range.begin / kLanes * kLanes; j < range.end; j += kLanes) {
      Vector s = hn::Load(d, scores + j);
      if (capped) {
        const Vector t = FastTanh(d, hn::Mul(s, inner));
        if (slope) hn::Store(hn::NegMulAdd(t, t, one), d, slope + j);
        s = hn::Mul(t, cap);
      } else {
        s = hn::Mul(s, scale);
      }
      if (masked) {
        const Vector mask = hn::Load(d, row_ + j);
        const auto hidden = hn::Eq(mask, lowest);  // also what is NaN becomes -inf
        s = hn::IfThenElse(hidden, lowest, hn::Add(s, mask));
        if (capped && slope) hn::Store(hn::IfThenZeroElse(hidden, hn::Load(d, slope + j)), d, slope + j);
      }
      hn::Store(s, d, scores + j);
    }
  }

 private:
  // row_[j] = what the mask adds to the score of (i, first + j), for j in the range.
  void ReadMask(int64_t i, int64_t first, Range range) {
    const int64_t step = shape_->mask_strides[3];
    const int64_t at = offset_ + i * shape_->mask_strides[2] + first * step;
    if (at == row_at_ && range.begin >= row_range_.begin && range.end <= row_range_.end) return;
    row_at_ = at;
    row_range_ = range;
    if (shape_->mask_kind == MaskKind::kFloat) {
      const float* mask = static_cast<const float*>(shape_->mask) + at;
      for (int64_t j = range.begin; j < range.end; ++j) row_[j] = mask[j * step];
    } else {
      const uint8_t* mask = static_cast<const uint8_t*>(shape_->mask) + at;
      for (int64_t j = range.begin; j < range.end; ++j) row_[j] = mask[j * step] ? 0.0f : kNegativeInfinity;
    }
  }

  const AttentionShape* shape_ = nullptr;
  float* row_ = nullptr;
  int64_t offset_ = 0;
  int64_t row_at_ =
      std::numeric_limits<int64_t>::min();  // what row_ holds: the same row of a broadcast mask is read once
  Range row_range_;
};

}  // namespace attnkit::kernels::attention::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
