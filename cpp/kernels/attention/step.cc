// Attention of one query a row: a step of decoding. Nothing is shared between rows but what they read, so the loop is
// over rows, and over the heads inside it: a key is one stretch of memory for all heads.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention/step.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include <algorithm>
#include <cmath>
#include <limits>

#include "attnkit/allocator.h"
#include "attnkit/kernels/decoding.h"
#include "attnkit/threads.h"
#include "kernels/dispatch.h"
#include "kernels/math-inl.h"
#include "kernels/vector-inl.h"

#ifndef ATTNKIT_KERNELS_ATTENTION_STEP_KEYS
#define ATTNKIT_KERNELS_ATTENTION_STEP_KEYS
namespace attnkit::kernels {

// The keys of one row.
struct RowOfCache {
  const float* const* blocks;
  const int32_t* places;
  int64_t size, count;  // numbers of a key with its value; keys
  const float* at(int64_t j) const { return blocks[j] + places[j] * size; }
};

struct RowOfMemory {
  const float* data;
  int64_t size, count;
  const float* at(int64_t j) const { return data + j * size; }
};

inline RowOfCache KeysOf(const CachedKeys& keys, int64_t row, int64_t size) {
  return {keys.blocks, keys.places + row * keys.places_row, size, keys.count};
}

inline RowOfMemory KeysOf(const SharedKeys& keys, int64_t row, int64_t size) {
  const int32_t *source = keys.offsets + keys.source_of[row];
  return {keys.data + source[0] * size, size, source[1] - source[0]};
}

}  // namespace attnkit::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

// Numbers of a head's row of scores: whole vectors.
HWY_INLINE int64_t Padded(int64_t keys) { return (keys + FloatLanes() - 1) / FloatLanes() * FloatLanes(); }

// query · key of one head.
template <int kVectors>
HWY_INLINE float Dot(const float* query, const float* key, int64_t size) {
  const Floats d;
  if constexpr (kVectors > 0) {
    FloatVec sum = hn::Mul(hn::LoadU(d, query), hn::LoadU(d, key));
#pragma GCC unroll 16
    for (int v = 1; v < kVectors; ++v) {
      sum = hn::MulAdd(hn::LoadU(d, query + v * FloatLanes()), hn::LoadU(d, key + v * FloatLanes()), sum);
    }
    return SumLanes(sum);
  }
  FloatSlots sum(0.0f);
  ForVectors(size, [&](auto access, int64_t i, int slot) ATTNKIT_BODY {
    sum.v[slot] = hn::MulAdd(access.Load(query + i), access.Load(key + i), sum.v[slot]);
  });
  return sum.Sum();
}

// Scores to weights, in place; the padding becomes zeros.
HWY_INLINE void SoftmaxOf(float* scores, int64_t count) {
  const Floats d;
  const int64_t lanes = FloatLanes(), padded = Padded(count);
  std::fill(scores + count, scores + padded, -std::numeric_limits<float>::infinity());
  FloatVec largest = hn::LoadU(d, scores);
  for (int64_t i = lanes; i < padded; i += lanes) largest = hn::Max(largest, hn::LoadU(d, scores + i));
  const FloatVec maximum = hn::MaxOfLanes(d, largest);
  FloatVec sum = hn::Zero(d);
  for (int64_t i = 0; i < padded; i += lanes) {
    const FloatVec e = FastExp(d, hn::Sub(hn::LoadU(d, scores + i), maximum));
    hn::StoreU(e, d, scores + i);
    sum = hn::Add(sum, e);
  }
  const FloatVec factor = hn::Div(hn::Set(d, 1.0f), hn::SumOfLanes(d, sum));
  for (int64_t i = 0; i < padded; i += lanes) hn::StoreU(hn::Mul(hn::LoadU(d, scores + i), factor), d, scores + i);
  std::fill(scores + count, scores + padded, 0.0f);
}

// output = sum over keys of weight · value, of one head whose values start `shift` numbers behind the keys.
template <int kVectors, class Keys>
HWY_INLINE void SumValues(const Keys& keys, int64_t shift, const float* weights, int64_t size, float* output) {
  const Floats d;
  if constexpr (kVectors > 0) {
    FloatVec sum[kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) sum[v] = hn::Zero(d);
    for (int64_t j = 0; j < keys.count; ++j) {
      const float* value = keys.at(j) + shift;
      const FloatVec weight = hn::Set(d, weights[j]);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) sum[v] = hn::MulAdd(weight, hn::LoadU(d, value + v * FloatLanes()), sum[v]);
    }
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) hn::StoreU(sum[v], d, output + v * FloatLanes());
    return;
  }
  std::fill_n(output, size, 0.0f);
  for (int64_t j = 0; j < keys.count; ++j) {
    const float* value = keys.at(j) + shift;
    const FloatVec weight = hn::Set(d, weights[j]);
    ForVectors(size, [&](auto access, int64_t i, int) ATTNKIT_BODY {
      access.Store(hn::MulAdd(weight, access.Load(value + i), access.Load(output + i)), output + i);
    });
  }
}

// weights[j] = the mean of the heads' weights.
HWY_INLINE void MeanOfHeads(const float* scores, int64_t heads, int64_t count, float* weights) {
  const float share = 1.0f / static_cast<float>(heads);
  for (int64_t j = 0; j < count; ++j) {
    float sum = 0.0f;
    for (int64_t h = 0; h < heads; ++h) sum += scores[h * Padded(count) + j];
    weights[j] = sum * share;
  }
}

// One row; `scores` has room for the padded scores of each head.
template <int kVectors, class Keys>
void AttendRow(const StepAttention& a, int64_t row, const Keys& keys, float* scores) {
  const int64_t width = a.heads * a.d_head, padded = Padded(keys.count);
  const float* query = a.query + row * a.query_row;
  float* output = a.output + row * width;
  for (int64_t j = 0; j < keys.count; ++j) {
    const float* key = keys.at(j);
    for (int64_t h = 0; h < a.heads; ++h) {
      scores[h * padded + j] = a.scale * Dot<kVectors>(query + h * a.d_head, key + h * a.d_head, a.d_head);
    }
  }
  for (int64_t h = 0; h < a.heads && keys.count > 0; ++h) SoftmaxOf(scores + h * padded, keys.count);
  for (int64_t h = 0; h < a.heads; ++h) {
    SumValues<kVectors>(keys, width + h * a.d_head, scores + h * padded, a.d_head, output + h * a.d_head);
  }
  if (a.weights) {
    float* weights = a.weights + row * a.weights_row;
    MeanOfHeads(scores, a.heads, keys.count, weights);
    std::fill(weights + keys.count, weights + a.weights_row, 0.0f);
  }
}

template <int kVectors, class AllKeys>
void AttendRows(const StepAttention& a, const AllKeys& keys, int64_t begin, int64_t end) {
  const int64_t size = 2 * a.heads * a.d_head;
  int64_t most = 1;
  for (int64_t r = begin; r < end; ++r) most = std::max(most, KeysOf(keys, r, size).count);
  Buffer<float> scores(a.heads * Padded(most));
  for (int64_t r = begin; r < end; ++r) AttendRow<kVectors>(a, r, KeysOf(keys, r, size), scores.data());
}

// Heads of a few whole vectors keep their sums in registers.
template <class AllKeys>
void AttendAny(const StepAttention& a, const AllKeys& keys, int64_t begin, int64_t end) {
  const int64_t lanes = FloatLanes(), vectors = a.d_head % lanes == 0 ? a.d_head / lanes : 0;
  switch (vectors) {
    case 1: return AttendRows<1>(a, keys, begin, end);
    case 2: return AttendRows<2>(a, keys, begin, end);
    case 4: return AttendRows<4>(a, keys, begin, end);
    case 8: return AttendRows<8>(a, keys, begin, end);
    default: return AttendRows<0>(a, keys, begin, end);
  }
}

void AttendCached(const StepAttention& a, const CachedKeys& keys, int64_t begin, int64_t end) {
  AttendAny(a, keys, begin, end);
}
void AttendShared(const StepAttention& a, const SharedKeys& keys, int64_t begin, int64_t end) {
  AttendAny(a, keys, begin, end);
}

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {
namespace {

// Rows worth a thread: about 20 us of multiply-adds.
int64_t GrainOf(const StepAttention& a, int64_t keys) {
  constexpr int64_t kTaskMultiplications = 200'000;
  return std::max<int64_t>(1, kTaskMultiplications / std::max<int64_t>(1, 2 * keys * a.heads * a.d_head));
}

}  // namespace

void AttendToCache(const StepAttention& a, const CachedKeys& keys) {
  auto* kernel = ATTNKIT_DISPATCH(AttendCached);
  ParallelFor(a.rows, GrainOf(a, keys.count), [&](int64_t begin, int64_t end) { kernel(a, keys, begin, end); });
}

void AttendToMemory(const StepAttention& a, const SharedKeys& keys) {
  if (a.rows == 0) return;
  auto* kernel = ATTNKIT_DISPATCH(AttendShared);
  const int32_t* source = keys.offsets + keys.source_of[0];
  ParallelFor(a.rows, GrainOf(a, source[1] - source[0]),
              [&](int64_t begin, int64_t end) { kernel(a, keys, begin, end); });
}

}  // namespace attnkit::kernels
#endif  // HWY_ONCE
