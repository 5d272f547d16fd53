// The three products of attention between packed sentences: queries with keys, weights with values, and weights
// transposed. Each is the gradient of the others.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ragged/products.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include "attnkit/kernels/ragged.h"
#include "attnkit/profile.h"
#include "kernels/dispatch.h"
#include "kernels/ragged/walk.h"
#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

HWY_INLINE float Dot(const float* x, const float* y, int64_t size) {
  FloatSlots sum(0.0f);
  ForVectors(size, [&](auto access, int64_t c, int slot)
                       ATTNKIT_BODY { sum.v[slot] = hn::MulAdd(access.Load(x + c), access.Load(y + c), sum.v[slot]); });
  return sum.Sum();
}

void DotRows(const RaggedShape& shape, int64_t begin, int64_t end, const float* query, const float* key, int64_t width,
             float* out) {
  for (QueryWalk q(shape, begin, end); q; q.Next()) {
    ZeroUnread(q, out);
    for (int64_t j = q.from; j < q.to; ++j)
      out[q.pairs + j] = Dot(query + q.row * width, key + (q.first_key + j) * width, width);
  }
}

// out (+)= sum over r < count of weights[r * stride] * rows[r * width + .], four vectors of columns in registers.
template <bool kAdd>
HWY_INLINE void WeightedSum(const float* weights, int64_t stride, int64_t count, const float* rows, int64_t width,
                            float* out) {
  const Floats d;
  const int64_t lanes = FloatLanes();
  int64_t c = 0;
  for (; c + 4 * lanes <= width; c += 4 * lanes) {
    FloatVec sum[4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) sum[v] = kAdd ? hn::LoadU(d, out + c + v * lanes) : hn::Zero(d);
    for (int64_t r = 0; r < count; ++r) {
      const FloatVec weight = hn::Set(d, weights[r * stride]);
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) sum[v] = hn::MulAdd(weight, hn::LoadU(d, rows + r * width + c + v * lanes), sum[v]);
    }
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) hn::StoreU(sum[v], d, out + c + v * lanes);
  }
  ForVectors<1>(width - c, [=](auto access, int64_t i, int) ATTNKIT_BODY {
    FloatVec sum = kAdd ? access.Load(out + c + i) : hn::Zero(d);
    for (int64_t r = 0; r < count; ++r)
      sum = hn::MulAdd(hn::Set(d, weights[r * stride]), access.Load(rows + r * width + c + i), sum);
    access.Store(sum, out + c + i);
  });
}

void SumRows(const RaggedShape& shape, int64_t begin, int64_t end, const float* weights, const float* value,
             int64_t width, float* out) {
  for (QueryWalk q(shape, begin, end); q; q.Next()) {
    WeightedSum<false>(weights + q.pairs + q.from, 1, q.to - q.from, value + (q.first_key + q.from) * width, width,
                       out + q.row * width);
  }
}

void TransposedSumRows(const RaggedShape& shape, int64_t begin, int64_t end, const float* weights, const float* query,
                       int64_t width, float* out) {
  for (KeyWalk k(shape, begin, end); k; k.Next()) {
    if (k.queries == 0) continue;
    WeightedSum<true>(weights + k.pairs, k.stride, k.queries, query + k.first_query * width, width,
                      out + k.row * width);
  }
}

// The same where queries read windows, for the keys begin .. end - 1: each key adds its queries in their order.
void TransposedWindowRows(const RaggedShape& shape, int64_t begin, int64_t end, const float* weights,
                          const float* query, int64_t width, float* out) {
  const Floats d;
  const int64_t last = SentenceOf(shape.key_offsets, shape.batch, end - 1);
  const int64_t first = SentenceOf(shape.key_offsets, shape.batch, begin);
  for (QueryWalk q(shape, shape.query_offsets[first], shape.query_offsets[last + 1]); q; q.Next()) {
    const int64_t from = std::max(q.from, begin - q.first_key), to = std::min(q.to, end - q.first_key);
    for (int64_t j = from; j < to; ++j) {
      const FloatVec weight = hn::Set(d, weights[q.pairs + j]);
      const float* row = query + q.row * width;
      float* sum = out + (q.first_key + j) * width;
      ForVectors<1>(width, [=](auto access, int64_t c, int) ATTNKIT_BODY {
        access.Store(hn::MulAdd(weight, access.Load(row + c), access.Load(sum + c)), sum + c);
      });
    }
  }
}

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {
namespace {

// A piece of keys looks at the windows of all their queries, so that it should have some keys.
constexpr int64_t kWindowKeys = 256;

void CountProducts(const RaggedShape& shape, int64_t width) { CountArithmetic(2.0 * PairsRead(shape) * width, 0); }

}  // namespace

void RaggedDots(const RaggedShape& shape, const float* query, const float* key, int64_t width, float* out) {
  CountProducts(shape, width);
  auto* kernel = ATTNKIT_DISPATCH(DotRows);
  ParallelQueries(shape, width, [&](int64_t begin, int64_t end) { kernel(shape, begin, end, query, key, width, out); });
}

void RaggedSums(const RaggedShape& shape, const float* weights, const float* value, int64_t width, float* out) {
  CountProducts(shape, width);
  auto* kernel = ATTNKIT_DISPATCH(SumRows);
  ParallelQueries(shape, width,
                  [&](int64_t begin, int64_t end) { kernel(shape, begin, end, weights, value, width, out); });
}

void RaggedTransposedSums(const RaggedShape& shape, const float* weights, const float* query, int64_t width,
                          float* out) {
  CountProducts(shape, width);
  auto* kernel = shape.begins ? ATTNKIT_DISPATCH(TransposedWindowRows) : ATTNKIT_DISPATCH(TransposedSumRows);
  const int64_t grain = std::max(shape.begins ? kWindowKeys : 1, RaggedGrain(shape, shape.keys(), width));
  ParallelFor(shape.keys(), grain,
              [&](int64_t begin, int64_t end) { kernel(shape, begin, end, weights, query, width, out); });
}

}  // namespace attnkit::kernels
#endif
