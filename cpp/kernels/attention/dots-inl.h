// Scores of a few queries as dot products along the rows of keys as they lie.

#if defined(ATTNKIT_KERNELS_ATTENTION_DOTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTNKIT_KERNELS_ATTENTION_DOTS_INL_H_
#undef ATTNKIT_KERNELS_ATTENTION_DOTS_INL_H_
#else
#define ATTNKIT_KERNELS_ATTENTION_DOTS_INL_H_
#endif

#include "kernels/attention/scores-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::attention::HWY_NAMESPACE {

// Four keys at a time: their sums are folded together. The last four may repeat the last key.
template <int kRows>
void DotRows(const RowsView& query, const RowsView& key, int64_t keys, Range seen, int64_t depth, float* scores,
             int64_t stride) {
  const FloatTag d;
  for (int64_t j = seen.begin / 4 * 4; j < seen.end; j += 4) {
    const float* k[4];
#pragma GCC unroll 4
    for (int64_t t = 0; t < 4; ++t) k[t] = key.data + std::min(j + t, keys - 1) * key.stride;
    Vector acc[kRows][4];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int t = 0; t < 4; ++t) acc[r][t] = hn::Zero(d);
    }
    int64_t n = 0;
    for (; n + kLanes <= depth; n += kLanes) {
      Vector kv[4];
#pragma GCC unroll 4
      for (int t = 0; t < 4; ++t) kv[t] = hn::LoadU(d, k[t] + n);
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const Vector q = hn::LoadU(d, query.data + r * query.stride + n);
#pragma GCC unroll 4
        for (int t = 0; t < 4; ++t) acc[r][t] = hn::MulAdd(q, kv[t], acc[r][t]);
      }
    }
    if (n < depth) {
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const Vector q = LoadTail(query.data + r * query.stride + n, depth - n);
#pragma GCC unroll 4
        for (int t = 0; t < 4; ++t) acc[r][t] = hn::MulAdd(q, LoadTail(k[t] + n, depth - n), acc[r][t]);
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      ReduceFour(AddOp(), acc[r][0], acc[r][1], acc[r][2], acc[r][3], scores + r * stride + j);
    }
  }
}

// scores[r * stride + j] = query row r · key row j for the keys seen and up to three beside them; stride is a multiple
// of 4.
inline void ScoresByDots(const RowsView& query, int64_t rows, const RowsView& key, int64_t keys, Range seen,
                         int64_t depth, float* scores, int64_t stride) {
  const auto run = rows == 1 ? DotRows<1> : rows == 2 ? DotRows<2> : rows == 3 ? DotRows<3> : DotRows<4>;
  run(query, key, keys, seen, depth, scores, stride);
}

}  // namespace attnkit::kernels::attention::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
