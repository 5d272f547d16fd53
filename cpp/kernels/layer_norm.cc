// Residual + dropout + norm of rows, one visit to memory for each row, forward and backward. RMSNorm is layer norm with
// a mean that is 0, whatever the row.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/layer_norm.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include <cmath>
#include <cstring>

#include "attnkit/allocator.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/threads.h"
#include "hwy/cache_control.h"
#include "kernels/dispatch.h"
#include "kernels/grain.h"
#include "kernels/philox-inl.h"
#include "kernels/vector-inl.h"

#ifndef ATTNKIT_KERNELS_LAYER_NORM_ARGUMENTS
#define ATTNKIT_KERNELS_LAYER_NORM_ARGUMENTS
namespace attnkit::kernels {

// The arguments of rows.h, any pointer that may be null there may be null here.
struct LayerNormForwardArguments {
  const float *x, *residual, *weight, *bias;
  int64_t columns;
  float eps, p;
  PhiloxKey key;
  bool stream;
  float *sum, *y, *mean, *rstd;
};

struct LayerNormBackwardArguments {
  const float *dy, *dsum_in, *sum, *weight, *mean, *rstd;
  int64_t columns;
  float p;
  PhiloxKey key;
  bool stream;
  float *dx, *dresidual;

  template <Norm kNorm>
  float Mean(int64_t row) const {
    return kNorm == Norm::kLayer ? mean[row] : 0.0f;
  }
};

}  // namespace attnkit::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

// to = residual + dropout(x) for one row that starts at element `first` of the matrix; returns the sum of the row.
HWY_INLINE float AddRow(const float* x, const float* residual, int64_t columns, const DropoutRule& rule,
                        DropoutNumbers& numbers, int64_t first, float* to) {
  FloatSlots total(0.0f);
  for (int64_t begin = 0; begin < columns; begin += kDropoutChunk) {
    const int64_t count = std::min(kDropoutChunk, columns - begin);
    const uint16_t* piece = rule.active() ? numbers.At(first + begin, count) : nullptr;
    ForVectors(count, [&](auto access, int64_t i, int slot) ATTNKIT_BODY {
      FloatVec v = access.Load(x + begin + i);
      if (piece) v = rule.Apply(v, piece + i);
      if (residual) v = hn::Add(v, access.Load(residual + begin + i));
      access.Store(v, to + begin + i);
      total.v[slot] = hn::Add(total.v[slot], access.ZeroRest(v));
    });
  }
  return total.Sum();
}

HWY_INLINE float SumRow(const float* x, int64_t columns) {
  FloatSlots total(0.0f);
  ForVectors(columns, [&](auto access, int64_t i, int slot)
                          ATTNKIT_BODY { total.v[slot] = hn::Add(total.v[slot], access.Load(x + i)); });
  return total.Sum();
}

// Memory would be idle meanwhile, so for a large matrix the next row is fetched.
HWY_INLINE float SumSquaredDeviations(const float* x, int64_t columns, float mean, const float* next) {
  const Floats d;
  FloatSlots total(0.0f);
  ForVectors(columns, [&](auto access, int64_t i, int slot) ATTNKIT_BODY {
    if (next) hwy::Prefetch(next + i);
    const FloatVec deviation = access.ZeroRest(hn::Sub(access.Load(x + i), hn::Set(d, mean)));
    total.v[slot] = hn::MulAdd(deviation, deviation, total.v[slot]);
  });
  return total.Sum();
}

// y = (s - mean) * rstd * weight + bias
HWY_INLINE void NormalizeRow(const float* s, const float* weight, const float* bias, int64_t columns, float mean,
                             float rstd, bool stream, float* y) {
  const Floats d;
  const FloatVec means = hn::Set(d, mean), rstds = hn::Set(d, rstd);
  ForStoredVectors(stream, y, columns, [=](auto access, int64_t i, int) ATTNKIT_BODY {
    FloatVec v = hn::Mul(hn::Sub(access.Load(s + i), means), rstds);
    if (weight) v = hn::Mul(v, access.Load(weight + i));
    if (bias) v = hn::Add(v, access.Load(bias + i));
    access.Store(v, y + i);
  });
}

// The norm is known when this is compiled: compilers fuse a product and a sum as their loops are cut, and RMSNorm must
// not change how those of layer norm round.
template <Norm kNorm>
HWY_INLINE void ForwardRows(const LayerNormForwardArguments& a, int64_t begin, int64_t end) {
  const DropoutRule rule(a.p);
  DropoutNumbers numbers(a.key, end * a.columns);
  // With neither residual nor dropout the sum is x itself. A sum that nobody wants waits in y.
  const bool plain = a.p == 0.0f && !a.residual && (!a.sum || a.sum == a.x);
  for (int64_t r = begin; r < end; ++r) {
    const int64_t first = r * a.columns;
    const float* s = a.x + first;
    float total = 0.0f;
    if (plain) {
      if constexpr (kNorm == Norm::kLayer) total = SumRow(s, a.columns);
    } else {
      float* to = (a.sum ? a.sum : a.y) + first;
      total = AddRow(s, a.residual ? a.residual + first : nullptr, a.columns, rule, numbers, first, to);
      s = to;
    }
    const float* next = a.stream ? a.x + first + a.columns : nullptr;
    const float mean = kNorm == Norm::kLayer ? total / static_cast<float>(a.columns) : 0.0f;
    const float variance = SumSquaredDeviations(s, a.columns, mean, next) / static_cast<float>(a.columns);
    const float rstd = 1.0f / std::sqrt(variance + a.eps);
    NormalizeRow(s, a.weight, a.bias, a.columns, mean, rstd, a.stream && s != a.y + first, a.y + first);
    if (a.mean) a.mean[r] = mean;
    if (a.rstd) a.rstd[r] = rstd;
  }
  if (a.stream) hwy::FlushStream();
}

void LayerNormForwardRows(const LayerNormForwardArguments& a, int64_t begin, int64_t end) {
  ForwardRows<Norm::kLayer>(a, begin, end);
}

void RmsNormForwardRows(const LayerNormForwardArguments& a, int64_t begin, int64_t end) {
  ForwardRows<Norm::kRms>(a, begin, end);
}

// With xhat = (sum - mean) * rstd and g = dy * weight: the means over a row of g and of g * xhat. dy * xhat and dy are
// added to dweight and dbias, which are null together.
struct RowMeans {
  float g, g_xhat;
};

template <bool kParameters>
HWY_INLINE RowMeans GradientMeans(const float* dy, const float* s, const float* weight, int64_t columns, float mean,
                                  float rstd, float* dweight, float* dbias) {
  const Floats d;
  const FloatVec means = hn::Set(d, mean), rstds = hn::Set(d, rstd);
  FloatSlots g_total(0.0f), g_xhat_total(0.0f);
  ForVectors(columns, [&](auto access, int64_t i, int slot) ATTNKIT_BODY {
    const FloatVec dyv = access.Load(dy + i);
    const FloatVec xhat = hn::Mul(hn::Sub(access.Load(s + i), means), rstds);
    const FloatVec g = weight ? hn::Mul(dyv, access.Load(weight + i)) : dyv;
    g_total.v[slot] = hn::Add(g_total.v[slot], g);
    g_xhat_total.v[slot] = hn::MulAdd(g, xhat, g_xhat_total.v[slot]);
    if constexpr (kParameters) {
      access.Store(hn::MulAdd(dyv, xhat, access.Load(dweight + i)), dweight + i);
      access.Store(hn::Add(access.Load(dbias + i), dyv), dbias + i);
    }
  });
  const float scale = 1.0f / static_cast<float>(columns);
  return {g_total.Sum() * scale, g_xhat_total.Sum() * scale};
}

// dsum = rstd * (g - mean of g - xhat * mean of g * xhat) + dsum_in, to dresidual and, through the mask, to dx. The
// mean of g is there because the row's mean was taken off.
template <Norm kNorm>
HWY_INLINE void InputGradientRow(const LayerNormBackwardArguments& a, int64_t r, RowMeans row, const DropoutRule& rule,
                                 DropoutNumbers& numbers) {
  const Floats d;
  const float* weight = a.weight;
  const FloatVec means = hn::Set(d, a.Mean<kNorm>(r)), rstds = hn::Set(d, a.rstd[r]);
  const FloatVec g_mean = hn::Set(d, row.g), g_xhat_mean = hn::Set(d, row.g_xhat);
  for (int64_t begin = 0; begin < a.columns; begin += kDropoutChunk) {
    const int64_t count = std::min(kDropoutChunk, a.columns - begin), first = r * a.columns + begin;
    const float *dy = a.dy + first, *s = a.sum + first, *w = weight ? weight + begin : nullptr;
    const float* dsum_in = a.dsum_in ? a.dsum_in + first : nullptr;
    float *dresidual = a.dresidual ? a.dresidual + first : nullptr, *dx = a.dx ? a.dx + first : nullptr;
    const uint16_t* piece = dx && rule.active() ? numbers.At(first, count) : nullptr;
    const auto body = [=, fetch = a.stream, columns = a.columns](auto access, int64_t i, int) ATTNKIT_BODY {
      if (fetch) {
        hwy::Prefetch(dy + columns + i);
        hwy::Prefetch(s + columns + i);
      }
      const FloatVec xhat = hn::Mul(hn::Sub(access.Load(s + i), means), rstds);
      FloatVec g = access.Load(dy + i);
      if (w) g = hn::Mul(g, access.Load(w + i));
      FloatVec dsum = hn::Mul(hn::NegMulAdd(xhat, g_xhat_mean, hn::Sub(g, g_mean)), rstds);
      if (dsum_in) dsum = hn::Add(dsum, access.Load(dsum_in + i));
      if (dresidual) access.Store(dsum, dresidual + i);
      if (dx) access.Store(piece ? rule.Apply(dsum, piece + i) : dsum, dx + i);
    };
    // Two outputs seldom have the same alignment; one alone may be streamed.
    const bool one_output = !dx != !dresidual;
    ForStoredVectors(a.stream && one_output, dx ? dx : dresidual, count, body);
  }
}

// `partial`, or null, gets the rows' part of dweight [columns] and, behind it, of dbias [columns].
template <Norm kNorm>
HWY_INLINE void BackwardRows(const LayerNormBackwardArguments& a, int64_t begin, int64_t end, float* partial) {
  const DropoutRule rule(a.p);
  DropoutNumbers numbers(a.key, end * a.columns);
  if (partial) std::memset(partial, 0, 2 * a.columns * sizeof(float));
  for (int64_t r = begin; r < end; ++r) {
    const float *dy = a.dy + r * a.columns, *s = a.sum + r * a.columns;
    const float mean = a.Mean<kNorm>(r), rstd = a.rstd[r];
    RowMeans row = partial ? GradientMeans<true>(dy, s, a.weight, a.columns, mean, rstd, partial, partial + a.columns)
                           : GradientMeans<false>(dy, s, a.weight, a.columns, mean, rstd, nullptr, nullptr);
    if constexpr (kNorm == Norm::kRms) row.g = 0.0f;
    if (a.dx || a.dresidual) InputGradientRow<kNorm>(a, r, row, rule, numbers);
  }
  if (a.stream) hwy::FlushStream();
}

void LayerNormBackwardRows(const LayerNormBackwardArguments& a, int64_t begin, int64_t end, float* partial) {
  BackwardRows<Norm::kLayer>(a, begin, end, partial);
}

void RmsNormBackwardRows(const LayerNormBackwardArguments& a, int64_t begin, int64_t end, float* partial) {
  BackwardRows<Norm::kRms>(a, begin, end, partial);
}

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {

void AddDropoutLayerNormForward(const float* x, const float* residual, const float* weight, const float* bias,
                                int64_t rows, int64_t columns, float eps, float p, PhiloxKey key, float* sum, float* y,
                                float* mean, float* rstd, Norm norm) {
  const LayerNormForwardArguments arguments = {
      x, residual, weight, bias, columns, eps, p, key, WorthStreaming(rows, columns), sum, y, mean, rstd};
  auto* kernel = norm == Norm::kLayer ? ATTNKIT_DISPATCH(LayerNormForwardRows) : ATTNKIT_DISPATCH(RmsNormForwardRows);
  ParallelFor(rows, StreamGrain(rows, columns), [&](int64_t begin, int64_t end) { kernel(arguments, begin, end); });
}

void AddDropoutLayerNormBackward(const float* dy, const float* dsum_in, const float* sum, const float* weight,
                                 const float* mean, const float* rstd, int64_t rows, int64_t columns, float p,
                                 PhiloxKey key, float* dx, float* dresidual, float* dweight, float* dbias, Norm norm) {
  const LayerNormBackwardArguments arguments = {
      dy, dsum_in, sum, weight, mean, rstd, columns, p, key, WorthStreaming(rows, columns), dx, dresidual};
  constexpr int64_t kMaxChunks = 128;
  const int64_t grain = ReductionGrain(rows, columns, kMaxChunks), chunks = (rows + grain - 1) / grain;
  const bool parameters = dweight || dbias;
  Buffer<float> partials(parameters ? chunks * 2 * columns : 0);
  auto* kernel = norm == Norm::kLayer ? ATTNKIT_DISPATCH(LayerNormBackwardRows) : ATTNKIT_DISPATCH(RmsNormBackwardRows);
  ParallelFor(rows, grain, [&](int64_t begin, int64_t end) {
    kernel(arguments, begin, end, parameters ? partials.data() + begin / grain * 2 * columns : nullptr);
  });
  if (dweight) ColumnSums(partials.data(), chunks, columns, 2 * columns, false, dweight);
  if (dbias) ColumnSums(partials.data() + columns, chunks, columns, 2 * columns, false, dbias);
}

}  // namespace attnkit::kernels
#endif
