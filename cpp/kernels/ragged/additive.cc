// Additive scores (Bahdanau et al., 2015) and their gradients.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ragged/additive.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include <cstring>

#include "attnkit/allocator.h"
#include "attnkit/kernels/ragged.h"
#include "attnkit/kernels/rows.h"
#include "kernels/dispatch.h"
#include "kernels/math-inl.h"
#include "kernels/ragged/walk.h"
#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

// tanh(query + key + coverage * w) of a vector of columns.
template <bool kCoverage, class Access>
HWY_INLINE FloatVec Hidden(const Access& access, FloatVec query, const float* key, float coverage, const float* w) {
  const Floats d;
  FloatVec z = hn::Add(query, access.Load(key));
  if (kCoverage) z = hn::MulAdd(hn::Set(d, coverage), access.Load(w), z);
  return FastTanh(d, z);
}

template <bool kCoverage>
void ScoreRows(const RaggedShape& shape, int64_t begin, int64_t end, const AdditiveScore& s, float* out) {
  const int64_t width = s.width;
  for (QueryWalk q(shape, begin, end); q; q.Next()) {
    const float* query = s.query + q.row * width;
    ZeroUnread(q, out);
    for (int64_t j = q.from; j < q.to; ++j) {
      const float* key = s.key + (q.first_key + j) * width;
      const float coverage = kCoverage ? s.coverage[q.pairs + j] : 0.0f;
      FloatSlots sum(0.0f);
      ForVectors(width, [&](auto access, int64_t c, int slot) ATTNKIT_BODY {
        const FloatVec hidden = Hidden<kCoverage>(access, access.Load(query + c), key + c, coverage, s.w + c);
        sum.v[slot] = hn::MulAdd(access.Load(s.v + c), hidden, sum.v[slot]);
      });
      out[q.pairs + j] = sum.Sum();
    }
  }
}

// Everything but dcoverage, for the sentences of a group and a block of columns: the columns do not depend on each
// other, so that one long sentence can be shared between threads as well as many short ones. dv and dw are the group's
// own.
template <bool kCoverage>
void BackwardBlock(const RaggedShape& shape, int64_t first, int64_t last, int64_t column, int64_t columns,
                   const AdditiveScore& s, const float* dscores, const AdditiveGradients& g, float* dv, float* dw) {
  const Floats d;
  const int64_t width = s.width;
  ForVectors<1>(columns, [&](auto access, int64_t offset, int) ATTNKIT_BODY {
    const int64_t c = column + offset;
    const FloatVec v = access.Load(s.v + c), one = hn::Set(d, 1.0f);
    FloatVec dv_sum = hn::Zero(d), dw_sum = hn::Zero(d);
    for (QueryWalk q(shape, shape.query_offsets[first], shape.query_offsets[last]); q; q.Next()) {
      const FloatVec query = access.Load(s.query + q.row * width + c);
      FloatVec dquery = hn::Zero(d);
      for (int64_t j = q.from; j < q.to; ++j) {
        const int64_t at = (q.first_key + j) * width + c;
        const float coverage = kCoverage ? s.coverage[q.pairs + j] : 0.0f;
        const FloatVec hidden = Hidden<kCoverage>(access, query, s.key + at, coverage, s.w + c);
        const FloatVec dscore = hn::Set(d, dscores[q.pairs + j]);
        const FloatVec dz = hn::Mul(hn::Mul(dscore, v), hn::NegMulAdd(hidden, hidden, one));
        dv_sum = hn::MulAdd(dscore, hidden, dv_sum);
        if (kCoverage) dw_sum = hn::MulAdd(hn::Set(d, coverage), dz, dw_sum);
        dquery = hn::Add(dquery, dz);
        access.Store(hn::Add(access.Load(g.dkey + at), dz), g.dkey + at);
      }
      access.Store(dquery, g.dquery + q.row * width + c);
    }
    access.Store(dv_sum, dv + c);
    if (kCoverage) access.Store(dw_sum, dw + c);
  });
}

void BackwardGroup(const RaggedShape& shape, int64_t first, int64_t last, int64_t column, int64_t columns,
                   const AdditiveScore& s, const float* dscores, const AdditiveGradients& g, float* dv, float* dw) {
  (s.coverage ? BackwardBlock<true> : BackwardBlock<false>)(shape, first, last, column, columns, s, dscores, g, dv, dw);
}

// dcoverage(i, j) = dscores(i, j) * sum over columns of v (1 - tanh^2) w
void CoverageRows(const RaggedShape& shape, int64_t begin, int64_t end, const AdditiveScore& s, const float* dscores,
                  float* dcoverage) {
  const Floats d;
  for (QueryWalk q(shape, begin, end); q; q.Next()) {
    const float* query = s.query + q.row * s.width;
    ZeroUnread(q, dcoverage);
    for (int64_t j = q.from; j < q.to; ++j) {
      const float* key = s.key + (q.first_key + j) * s.width;
      FloatSlots sum(0.0f);
      ForVectors(s.width, [&](auto access, int64_t c, int slot) ATTNKIT_BODY {
        const FloatVec hidden = Hidden<true>(access, access.Load(query + c), key + c, s.coverage[q.pairs + j], s.w + c);
        const FloatVec slope = hn::NegMulAdd(hidden, hidden, hn::Set(d, 1.0f));
        sum.v[slot] = hn::MulAdd(hn::Mul(access.Load(s.v + c), access.Load(s.w + c)), slope, sum.v[slot]);
      });
      dcoverage[q.pairs + j] = dscores[q.pairs + j] * sum.Sum();
    }
  }
}

auto ScoreRowsFor(bool coverage) { return coverage ? ScoreRows<true> : ScoreRows<false>; }

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {
namespace {

// tanh is worth this many plain operations.
constexpr int64_t kTanhCost = 8;

// Sentences in at most kGroups groups, which keep partial sums of what all sentences share, times blocks of columns.
struct BackwardPlan {
  static constexpr int64_t kGroups = 16, kColumns = 64;
  int64_t batch, groups, blocks, grain;

  BackwardPlan(const RaggedShape& shape, int64_t width)
      : batch(shape.batch), groups(std::min(kGroups, shape.batch)), blocks((width + kColumns - 1) / kColumns) {
    const int64_t pieces = groups * blocks;
    grain = std::max<int64_t>(1, pieces * kGrainElements / std::max<int64_t>(1, PairsRead(shape) * width * kTanhCost));
  }
  int64_t first(int64_t group) const { return batch * group / groups; }
};

}  // namespace

void RaggedAdditiveScores(const RaggedShape& shape, const AdditiveScore& score, float* out) {
  const auto kernel = ATTNKIT_DISPATCH(ScoreRowsFor)(score.coverage != nullptr);
  ParallelQueries(shape, score.width * kTanhCost,
                  [&](int64_t begin, int64_t end) { kernel(shape, begin, end, score, out); });
}

void RaggedAdditiveBackward(const RaggedShape& shape, const AdditiveScore& score, const float* dscores,
                            const AdditiveGradients& gradients) {
  const int64_t width = score.width;
  const BackwardPlan plan(shape, width);
  Buffer<float> dv(plan.groups * width), dw(score.coverage ? plan.groups * width : 0);
  auto* kernel = ATTNKIT_DISPATCH(BackwardGroup);
  ParallelFor(plan.groups * plan.blocks, plan.grain, [&](int64_t begin, int64_t end) {
    for (int64_t piece = begin; piece < end; ++piece) {
      const int64_t group = piece / plan.blocks, column = piece % plan.blocks * BackwardPlan::kColumns;
      kernel(shape, plan.first(group), plan.first(group + 1), column, std::min(BackwardPlan::kColumns, width - column),
             score, dscores, gradients, dv.data() + group * width,
             score.coverage ? dw.data() + group * width : nullptr);
    }
  });
  ColumnSums(dv.data(), plan.groups, width, width, false, gradients.dv);
  if (!score.coverage) return;
  if (gradients.dw) ColumnSums(dw.data(), plan.groups, width, width, false, gradients.dw);
  if (!gradients.dcoverage) return;
  auto* rows = ATTNKIT_DISPATCH(CoverageRows);
  ParallelQueries(shape, width * kTanhCost,
                  [&](int64_t begin, int64_t end) { rows(shape, begin, end, score, dscores, gradients.dcoverage); });
}

}  // namespace attnkit::kernels
#endif
