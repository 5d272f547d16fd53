// Exponentials of a tile of scores, with the maximum and sum of each row.

#if defined(ATTNKIT_KERNELS_ATTENTION_SOFTMAX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTNKIT_KERNELS_ATTENTION_SOFTMAX_INL_H_
#undef ATTNKIT_KERNELS_ATTENTION_SOFTMAX_INL_H_
#else
#define ATTNKIT_KERNELS_ATTENTION_SOFTMAX_INL_H_
#endif

#include "kernels/attention/dropout-inl.h"
#include "kernels/attention/scores-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::attention::HWY_NAMESPACE {

constexpr int64_t kSoftmaxRows = 32;  // the most rows of a tile, and the room of every array with a number for each row

struct ScoreTile {
  float* scores;  // rows padded to whole vectors
  int64_t stride, rows;
  Range seen;           // columns that some row sees
  const Range* ranges;  // what each row sees of them; null when all see the same
  float factor;         // > 0: scores are multiplied by this, once their maximum is taken off
  const DropoutRule* dropout = nullptr;
  const uint16_t* numbers = nullptr;  // of element (r, j) at r * number_stride + j
  int64_t number_stride = 0;

  float* row(int64_t r) const { return scores + r * stride; }
  Range range(int64_t r) const { return ranges ? ranges[r] : seen; }
};

// largest[r] = the greatest score of row r, not yet multiplied; -inf when it sees none.
inline void RowMaxima(const ScoreTile& tile, float* largest) {
  const FloatTag d;
  HWY_ALIGN float partial[kSoftmaxRows * kLanes];
  const Vector lowest = hn::Set(d, kNegativeInfinity);
  for (int64_t r = 0; r < tile.rows; ++r) {
    const float* scores = tile.row(r);
    Vector max = lowest;
    ForScores(tile.range(r), [&](auto lanes, int64_t j)
                                 ATTNKIT_BODY { max = hn::Max(max, lanes.Keep(hn::Load(d, scores + j), lowest)); });
    hn::Store(max, d, partial + r * kLanes);
  }
  for (int64_t r = tile.rows; r % 4 != 0; ++r) hn::Store(lowest, d, partial + r * kLanes);
  ReduceRows(MaxOp(), partial, tile.rows, largest);
}

// The exponential of a score. The maximum is taken off first: of the product it would have to be rounded as the product
// was, or great scores would leave rows that do not add up to one.
HWY_INLINE Vector ExpOfScore(Vector score, Vector shift, Vector factor) {
  return Exp(hn::Mul(hn::Sub(score, shift), factor));
}

// scores = exp(factor * (scores - shift)), zero where a row does not see; sums[r] = their sum. Dropout comes after the
// sum.
inline void RowExponentials(const ScoreTile& tile, const float* shift, float* sums) {
  const FloatTag d;
  HWY_ALIGN float partial[kSoftmaxRows * kLanes];
  const Vector factor = hn::Set(d, tile.factor);
  for (int64_t r = 0; r < tile.rows; ++r) {
    float* scores = tile.row(r);
    const uint16_t* numbers = tile.numbers + r * tile.number_stride;
    const Vector row_shift = hn::Set(d, shift[r]);
    Vector sum = hn::Zero(d);
    ZeroOutside(tile.seen, tile.range(r), scores);
    ForScores(tile.range(r), [&](auto lanes, int64_t j) ATTNKIT_BODY {
      Vector p = ExpOfScore(hn::Load(d, scores + j), row_shift, factor);
      p = lanes.Keep(p, hn::Zero(d));
      sum = hn::Add(sum, p);
      if (tile.dropout) p = tile.dropout->Apply(p, numbers + j);
      hn::Store(p, d, scores + j);
    });
    hn::Store(sum, d, partial + r * kLanes);
  }
  for (int64_t r = tile.rows; r % 4 != 0; ++r) hn::Store(hn::Zero(d), d, partial + r * kLanes);
  ReduceRows(AddOp(), partial, tile.rows, sums);
}

// -inf - -inf would be NaN.
HWY_INLINE Vector FiniteShift(Vector max) {
  return hn::IfThenZeroElse(hn::Eq(max, hn::Set(FloatTag(), kNegativeInfinity)), max);
}

// Both of the above for tiles of kVectors vectors from column zero on, as the sentences of a batch mostly are: four
// rows at a time stay in registers, and nothing is decided inside.
template <int kVectors, bool kDropout>
void NarrowSoftmax(const ScoreTile& tile, float* largest, float* sums) {
  const FloatTag d;
  const Vector factor = hn::Set(d, tile.factor), lowest = hn::Set(d, kNegativeInfinity), zero = hn::Zero(d);
  hn::Mask<FloatTag> in[4][kVectors];
  if (!tile.ranges) {
    for (auto& row : in) {
      for (int v = 0; v < kVectors; ++v) row[v] = LanesIn(tile.seen, v * kLanes);
    }
  }
  for (int64_t r = 0; r < tile.rows; r += 4) {
    float* scores[4];
    Vector s[4][kVectors], max[4], sum[4];
#pragma GCC unroll 4
    for (int t = 0; t < 4; ++t) {
      const int64_t row = std::min(r + t, tile.rows - 1);
      scores[t] = tile.row(row);
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        if (tile.ranges) in[t][v] = LanesIn(tile.ranges[row], v * kLanes);
        s[t][v] = hn::IfThenElse(in[t][v], hn::Load(d, scores[t] + v * kLanes), lowest);
      }
      max[t] = s[t][0];
      if constexpr (kVectors > 1) max[t] = hn::Max(max[t], s[t][kVectors - 1]);
    }
    ReduceFour(MaxOp(), max[0], max[1], max[2], max[3], largest + r);
#pragma GCC unroll 4
    for (int t = 0; t < 4; ++t) {
      const Vector shift = FiniteShift(hn::Set(d, largest[r + t]));
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        s[t][v] = hn::IfThenElse(in[t][v], ExpOfScore(s[t][v], shift, factor), zero);
      }
      sum[t] = s[t][0];
      if constexpr (kVectors > 1) sum[t] = hn::Add(sum[t], s[t][kVectors - 1]);
    }
    ReduceFour(AddOp(), sum[0], sum[1], sum[2], sum[3], sums + r);
#pragma GCC unroll 4
    for (int t = 0; t < 4; ++t) {
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) {
        Vector p = s[t][v];
        if (kDropout)
          p = tile.dropout->Apply(p, tile.numbers + std::min(r + t, tile.rows - 1) * tile.number_stride + v * kLanes);
        hn::Store(p, d, scores[t] + v * kLanes);
      }
    }
  }
}

// False when the tile is too wide.
inline bool TryNarrowSoftmax(const ScoreTile& tile, float* largest, float* sums) {
  if (tile.seen.end > 2 * kLanes) return false;
  if (tile.seen.end <= kLanes) {
    tile.dropout ? NarrowSoftmax<1, true>(tile, largest, sums) : NarrowSoftmax<1, false>(tile, largest, sums);
  } else {
    tile.dropout ? NarrowSoftmax<2, true>(tile, largest, sums) : NarrowSoftmax<2, false>(tile, largest, sums);
  }
  return true;
}

}  // namespace attnkit::kernels::attention::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
