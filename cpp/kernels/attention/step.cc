// Attention of one query a row: a step of decoding. The keys and values of a row stay near while its heads
// pass.
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
#include "attnkit/profile.h"
#include "attnkit/threads.h"
#include "kernels/dispatch.h"
#include "kernels/math-inl.h"
#include "kernels/vector-inl.h"

#ifndef ATTNKIT_KERNELS_ATTENTION_STEP_KEYS
#define ATTNKIT_KERNELS_ATTENTION_STEP_KEYS
namespace attnkit::kernels {

// Where the keys of a row are, `size` numbers each.
inline int64_t CountOf(const CachedKeys& keys, int64_t) { return keys.count; }
inline void FindKeys(const CachedKeys& keys, int64_t row, int64_t size, const float** to) {
  const int32_t* places = keys.places + row * keys.places_row;
  for (int64_t j = 0; j < keys.count; ++j) to[j] = keys.blocks[j] + places[j] * size;
}

inline int64_t CountOf(const SharedKeys& keys, int64_t row) {
  const int32_t* source = keys.offsets + keys.source_of[row];
  return source[1] - source[0];
}
inline void FindKeys(const SharedKeys& keys, int64_t row, int64_t size, const float** to) {
  const int32_t* source = keys.offsets + keys.source_of[row];
  for (int64_t j = 0; j < source[1] - source[0]; ++j) to[j] = keys.data + (source[0] + j) * size;
}

// The keys of one row.
struct Keys {
  const float* const* at;
  int64_t count;
};

}  // namespace attnkit::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

// Numbers of a head's row of scores: whole vectors.
HWY_INLINE int64_t Padded(int64_t keys) { return (keys + FloatLanes() - 1) / FloatLanes() * FloatLanes(); }

// query · key of one head, lane by lane. kVectors = 0: any size.
template <int kVectors>
HWY_INLINE FloatVec Products(const float* query, const float* key, int64_t size) {
  const Floats d;
  if constexpr (kVectors > 0) {
    FloatVec sum = hn::Mul(hn::LoadU(d, query), hn::LoadU(d, key));
#pragma GCC unroll 16
    for (int v = 1; v < kVectors; ++v) {
      sum = hn::MulAdd(hn::LoadU(d, query + v * FloatLanes()), hn::LoadU(d, key + v * FloatLanes()), sum);
    }
    return sum;
  }
  FloatSlots sum(0.0f);
  ForVectors(size, [&](auto access, int64_t i, int slot) ATTNKIT_BODY {
    sum.v[slot] = hn::MulAdd(access.Load(query + i), access.Load(key + i), sum.v[slot]);
  });
  return hn::Add(hn::Add(sum.v[0], sum.v[1]), hn::Add(sum.v[2], sum.v[3]));
}

// Writes scale times the sum of the lanes of each of four vectors to `to`: one tree of additions serves all four. What
// follows in the last whole vector is overwritten.
#if HWY_TARGET == HWY_SCALAR
HWY_INLINE void StoreFourSums(const FloatVec (&v)[4], FloatVec scale, float* to) {
  for (int i = 0; i < 4; ++i) to[i] = hn::GetLane(hn::Mul(v[i], scale));
}
#else
HWY_INLINE FloatVec SumNeighbours(FloatVec a, FloatVec b) {
  const Floats d;
  return hn::Add(hn::ConcatEven(d, b, a), hn::ConcatOdd(d, b, a));
}

HWY_INLINE void StoreFourSums(const FloatVec (&v)[4], FloatVec scale, float* to) {
  FloatVec sums = SumNeighbours(SumNeighbours(v[0], v[1]), SumNeighbours(v[2], v[3]));
  for (int64_t lanes = FloatLanes(); lanes > 4; lanes /= 2) sums = SumNeighbours(sums, sums);
  hn::StoreU(hn::Mul(sums, scale), Floats(), to);
}
#endif

constexpr int64_t kPastScores = 16;  // numbers that StoreFourSums may touch behind the last score

// scores[j] = scale · query · key j of one head.
template <int kVectors>
HWY_INLINE void Scores(const float* query, const Keys& keys, int64_t shift, int64_t size, float scale, float* scores) {
  const FloatVec scales = hn::Set(Floats(), scale);
  for (int64_t j = 0; j < keys.count; j += 4) {
    FloatVec products[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      products[i] = Products<kVectors>(query, keys.at[std::min(j + i, keys.count - 1)] + shift, size);
    }
    StoreFourSums(products, scales, scores + j);
  }
}

HWY_INLINE void AddBias(const StepAttention& a, int64_t count, float* scores) {
  for (int64_t h = 0; h < a.heads; ++h) {
    const float* bias = a.bias + h * a.bias_row;
    float* to = scores + h * Padded(count);
    ForVectors(count, [&](auto access, int64_t i, int)
                          ATTNKIT_BODY { access.Store(hn::Add(access.Load(to + i), access.Load(bias + i)), to + i); });
  }
}

// A head whose bias hides every key has no weights.
HWY_INLINE void ForgetHidden(const StepAttention& a, int64_t count, float* weights) {
  for (int64_t h = 0; h < a.heads; ++h) {
    const float* bias = a.bias + h * a.bias_row;
    const auto hidden = [](float b) { return b == -std::numeric_limits<float>::infinity(); };
    if (std::all_of(bias, bias + count, hidden)) std::fill_n(weights + h * Padded(count), count, 0.0f);
  }
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
template <int kVectors>
HWY_INLINE void SumValues(const Keys& keys, int64_t shift, const float* weights, int64_t size, float* output) {
  const Floats d;
  if constexpr (kVectors > 0) {
    // Two sums of each number, of the even keys and of the odd ones: additions wait less for each other.
    FloatVec sum[2][kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) sum[0][v] = sum[1][v] = hn::Zero(d);
    const auto add = [&](int64_t j, int parity) ATTNKIT_BODY {
      const float* value = keys.at[j] + shift;
      const FloatVec weight = hn::Set(d, weights[j]);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        sum[parity][v] = hn::MulAdd(weight, hn::LoadU(d, value + v * FloatLanes()), sum[parity][v]);
      }
    };
    int64_t j = 0;
    for (; j + 2 <= keys.count; j += 2) {
      add(j, 0);
      add(j + 1, 1);
    }
    if (j < keys.count) add(j, 0);
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) hn::StoreU(hn::Add(sum[0][v], sum[1][v]), d, output + v * FloatLanes());
    return;
  }
  std::fill_n(output, size, 0.0f);
  for (int64_t j = 0; j < keys.count; ++j) {
    const float* value = keys.at[j] + shift;
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

// One row; `scores` has room for the padded scores of each head, and kPastScores.
template <int kVectors>
HWY_INLINE void AttendRow(const StepAttention& a, int64_t row, const Keys& keys, float* scores) {
  const int64_t width = a.heads * a.d_head, padded = Padded(keys.count);
  const float* query = a.query + row * a.query_row;
  float* output = a.output + row * width;
  for (int64_t h = 0; h < a.heads; ++h) {
    Scores<kVectors>(query + h * a.d_head, keys, h * a.d_head, a.d_head, a.scale, scores + h * padded);
  }
  if (a.bias) AddBias(a, keys.count, scores);
  // Behind each other: the long chains of several heads run at once.
  for (int64_t h = 0; h < a.heads && keys.count > 0; ++h) SoftmaxOf(scores + h * padded, keys.count);
  if (a.bias) ForgetHidden(a, keys.count, scores);
  for (int64_t h = 0; h < a.heads; ++h) {
    SumValues<kVectors>(keys, width + h * a.d_head, scores + h * padded, a.d_head, output + h * a.d_head);
  }
  if (a.weights) {
    float* weights = a.weights + row * a.weights_row;
    if (a.weights_head == kMeanOfHeads) {
      MeanOfHeads(scores, a.heads, keys.count, weights);
    } else {
      std::copy_n(scores + a.weights_head * padded, keys.count, weights);
    }
    std::fill(weights + keys.count, weights + a.weights_row, 0.0f);
  }
}

template <int kVectors, class AllKeys>
void AttendRows(const StepAttention& a, const AllKeys& keys, int64_t begin, int64_t end) {
  const int64_t size = 2 * a.heads * a.d_head;
  int64_t most = 1;
  for (int64_t r = begin; r < end; ++r) most = std::max(most, CountOf(keys, r));
  Buffer<float> scores(a.heads * Padded(most) + kPastScores);
  Buffer<const float*> found(most);
  for (int64_t r = begin; r < end; ++r) {
    FindKeys(keys, r, size, found.data());
    AttendRow<kVectors>(a, r, {found.data(), CountOf(keys, r)}, scores.data());
  }
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

int64_t AllPairs(const StepAttention& a, const SharedKeys& keys) {
  int64_t pairs = 0;
  for (int64_t r = 0; r < a.rows; ++r) {
    const int32_t* source = keys.offsets + keys.source_of[r];
    pairs += source[1] - source[0];
  }
  return pairs;
}

}  // namespace

void AttendToCache(const StepAttention& a, const CachedKeys& keys) {
  CountArithmetic(4.0 * a.rows * keys.count * a.heads * a.d_head, 0);
  auto* kernel = ATTNKIT_DISPATCH(AttendCached);
  ParallelFor(a.rows, GrainOf(a, keys.count), [&](int64_t begin, int64_t end) { kernel(a, keys, begin, end); });
}

void AttendToMemory(const StepAttention& a, const SharedKeys& keys) {
  if (a.rows == 0) return;
  if (internal::Watching()) CountArithmetic(4.0 * AllPairs(a, keys) * a.heads * a.d_head, 0);
  auto* kernel = ATTNKIT_DISPATCH(AttendShared);
  const int32_t* source = keys.offsets + keys.source_of[0];
  ParallelFor(a.rows, GrainOf(a, source[1] - source[0]),
              [&](int64_t begin, int64_t end) { kernel(a, keys, begin, end); });
}

}  // namespace attnkit::kernels
#endif  // HWY_ONCE
