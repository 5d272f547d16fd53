// Softmax and log-softmax of rows, and their gradients.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/softmax.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include <cmath>
#include <limits>

#include "attnkit/allocator.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/threads.h"
#include "hwy/cache_control.h"
#include "kernels/dispatch.h"
#include "kernels/grain.h"
#include "kernels/softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

// Rows of at most kSmall vectors stay in registers.
constexpr int kSmall = 8;

template <class Combine>
HWY_INLINE FloatVec Fold(const FloatVec* v, int count, const Combine& combine) {
  FloatVec result = v[0];
#pragma GCC unroll 8
  for (int i = 1; i < count; ++i) result = combine(result, v[i]);
  return result;
}

// y = softmax(x), or x - maximum if kLog; sums[r] = sum over c of e^(x - maximum), 1 for a row of -inf. The first
// kVectors - 1 vectors of a row are whole, `each`; `last` says what there is of the last one.
template <bool kLog, int kVectors, class Each, class Last>
void SmallRows(const float* x, int64_t rows, int64_t columns, Each each, Last last, float* sums, float* y) {
  const Floats d;
  const int64_t lanes = FloatLanes(), rest = (kVectors - 1) * lanes;
  const FloatVec zero = hn::Zero(d), one = hn::Set(d, 1.0f);
  const FloatVec lowest = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (int64_t r = 0; r < rows; ++r, x += columns, y += columns) {
    FloatVec v[kVectors], e[kVectors];
#pragma GCC unroll 8
    for (int i = 0; i < kVectors - 1; ++i) v[i] = hn::LoadU(d, x + i * lanes);
    v[kVectors - 1] = last.Fill(last.Load(x + rest), lowest);
    const FloatVec largest = Fold(v, kVectors, [](FloatVec a, FloatVec b) ATTNKIT_BODY { return hn::Max(a, b); });
    const FloatVec maximum = hn::MaxOfLanes(d, largest);
    // A row of -inf is shifted by nothing: -inf - -inf would be NaN.
    const FloatVec shift = hn::IfThenElse(hn::Eq(maximum, lowest), zero, maximum);
#pragma GCC unroll 8
    for (int i = 0; i < kVectors; ++i) {
      v[i] = hn::Sub(v[i], shift);
      e[i] = FastExp(d, v[i]);
    }
    const FloatVec lane_sums = Fold(e, kVectors, [](FloatVec a, FloatVec b) ATTNKIT_BODY { return hn::Add(a, b); });
    const FloatVec sum = hn::SumOfLanes(d, lane_sums), divisor = hn::IfThenElse(hn::Eq(sum, zero), one, sum);
    if (kLog) {
      sums[r] = hn::GetLane(divisor);
    } else {
      const FloatVec factor = hn::Div(one, divisor);
#pragma GCC unroll 8
      for (int i = 0; i < kVectors; ++i) v[i] = hn::Mul(e[i], factor);
    }
#pragma GCC unroll 8
    for (int i = 0; i < kVectors - 1; ++i) each.Store(v[i], y + i * lanes);
    last.Store(v[kVectors - 1], y + rest);
  }
}

template <bool kLog, int kVectors = kSmall>
HWY_INLINE void RunSmallRows(const float* x, int64_t rows, int64_t columns, bool stream, float* sums, float* y) {
  const int64_t lanes = FloatLanes();
  if constexpr (kVectors > 1) {
    if (columns <= (kVectors - 1) * lanes) return RunSmallRows<kLog, kVectors - 1>(x, rows, columns, stream, sums, y);
  }
  const bool aligned = reinterpret_cast<uintptr_t>(y) % (lanes * sizeof(float)) == 0;
  if (columns % lanes != 0) {
    SmallRows<kLog, kVectors>(x, rows, columns, Whole(), Partial{columns % lanes}, sums, y);
  } else if (stream && aligned) {
    SmallRows<kLog, kVectors>(x, rows, columns, Streamed(), Streamed(), sums, y);
  } else {
    SmallRows<kLog, kVectors>(x, rows, columns, Whole(), Whole(), sums, y);
  }
}

HWY_INLINE bool AreSmall(int64_t columns) { return columns > 0 && columns <= kSmall * FloatLanes(); }

// The logarithms of several rows are taken together.
void SmallLogSoftmaxRows(const float* x, int64_t rows, int64_t columns, float* y) {
  const Floats d;
  constexpr int64_t kTogether = 16;
  float sums[kTogether];
  for (int64_t begin = 0; begin < rows; begin += kTogether) {
    const int64_t count = std::min(kTogether, rows - begin);
    RunSmallRows<true>(x + begin * columns, count, columns, false, sums, y + begin * columns);
    ForVectors<1>(count, [&](auto access, int64_t i, int)
                             ATTNKIT_BODY { access.Store(FastLog(d, access.Load(sums + i)), sums + i); });
    for (int64_t r = 0; r < count; ++r) {
      float* row = y + (begin + r) * columns;
      const FloatVec log_sum = hn::Set(d, sums[r]);
      ForVectors(columns, [=](auto access, int64_t i, int)
                              ATTNKIT_BODY { access.Store(hn::Sub(access.Load(row + i), log_sum), row + i); });
    }
  }
}

HWY_INLINE float SoftmaxScale(const ExpRow& row) { return row.sum() == 0.0f ? 0.0f : 1.0f / row.sum(); }

// The same past the caches: the exponentials of a row wait in one of two buffers, and are stored block by block between
// those of the next row, so that the arithmetic of one does not wait for the memory of the other.
void StreamedSoftmaxRows(const float* x, int64_t rows, int64_t columns, float* y) {
  Buffer<float> waiting(2 * columns);
  ExpRow row[2] = {ExpRow(columns), ExpRow(columns)};
  for (int64_t r = 0; r < rows; ++r, x += columns, y += columns) {
    const ExpRow& last = row[(r + 1) % 2];
    const float* stored = waiting.data() + (r + 1) % 2 * columns;
    const float scale = r > 0 ? SoftmaxScale(last) : 0.0f;
    row[r % 2].Run<true, false>(x, waiting.data() + r % 2 * columns, [&](int64_t b) ATTNKIT_BODY {
      if (r > 0) last.FinishBlock(b, stored, scale, 0.0f, true, y - columns);
    });
  }
  const ExpRow& last = row[(rows + 1) % 2];
  last.Finish(waiting.data() + (rows + 1) % 2 * columns, SoftmaxScale(last), 0.0f, true, y - columns);
  hwy::FlushStream();
}

// y[r, c] = e^x[r, c] / sum over c of e^x[r, c]
void SoftmaxRows(const float* x, int64_t rows, int64_t columns, bool stream, float* y) {
  if (AreSmall(columns)) {
    RunSmallRows<false>(x, rows, columns, stream, nullptr, y);
    if (stream) hwy::FlushStream();
    return;
  }
  if (stream) return StreamedSoftmaxRows(x, rows, columns, y);
  ExpRow row(columns);
  for (int64_t r = 0; r < rows; ++r, x += columns, y += columns) {
    row.Run<true>(x, y);
    row.Finish(y, SoftmaxScale(row), 0.0f, false, y);
  }
}

// Behind the first pass over a row all is in the cache: the time to fetch the next row.
HWY_INLINE void PrefetchNext(bool large, const float* y, const float* dy) {
  if (large) {
    hwy::Prefetch(y);
    hwy::Prefetch(dy);
  }
}

// dx = y * (dy - sum over c of y * dy)
void SoftmaxBackwardRows(const float* y, const float* dy, int64_t rows, int64_t columns, bool stream, float* dx) {
  const Floats d;
  for (int64_t r = 0; r < rows; ++r, y += columns, dy += columns, dx += columns) {
    FloatSlots sum(0.0f);
    ForVectors(columns, [&](auto access, int64_t i, int slot) ATTNKIT_BODY {
      sum.v[slot] = hn::MulAdd(access.Load(y + i), access.Load(dy + i), sum.v[slot]);
    });
    const FloatVec dot = hn::Set(d, sum.Sum());
    ForStoredVectors(stream, dx, columns, [=](auto access, int64_t i, int) ATTNKIT_BODY {
      PrefetchNext(stream, y + columns + i, dy + columns + i);
      access.Store(hn::Mul(access.Load(y + i), hn::Sub(access.Load(dy + i), dot)), dx + i);
    });
  }
  if (stream) hwy::FlushStream();
}

// y = x - logsumexp(x)
void LogSoftmaxRows(const float* x, int64_t rows, int64_t columns, bool stream, float* y) {
  if (AreSmall(columns)) return SmallLogSoftmaxRows(x, rows, columns, y);
  const Floats d;
  ExpRow row(columns);
  for (int64_t r = 0; r < rows; ++r, x += columns, y += columns) {
    row.Run<false>(x, nullptr);
    const FloatVec maximum = hn::Set(d, row.sum() == 0.0f ? 0.0f : row.maximum());
    const FloatVec log_sum = hn::Set(d, row.sum() == 0.0f ? 0.0f : std::log(row.sum()));
    ForStoredVectors(stream, y, columns, [=](auto access, int64_t i, int) ATTNKIT_BODY {
      access.Store(hn::Sub(hn::Sub(access.Load(x + i), maximum), log_sum), y + i);
    });
  }
  if (stream) hwy::FlushStream();
}

// dx = dy - e^y * sum over c of dy
void LogSoftmaxBackwardRows(const float* y, const float* dy, int64_t rows, int64_t columns, bool stream, float* dx) {
  const Floats d;
  for (int64_t r = 0; r < rows; ++r, y += columns, dy += columns, dx += columns) {
    FloatSlots sum(0.0f);
    ForVectors(columns, [&](auto access, int64_t i, int slot)
                            ATTNKIT_BODY { sum.v[slot] = hn::Add(sum.v[slot], access.Load(dy + i)); });
    const FloatVec total = hn::Set(d, sum.Sum());
    ForStoredVectors(stream, dx, columns, [=](auto access, int64_t i, int) ATTNKIT_BODY {
      PrefetchNext(stream, y + columns + i, dy + columns + i);
      access.Store(hn::NegMulAdd(FastExp(d, access.Load(y + i)), total, access.Load(dy + i)), dx + i);
    });
  }
  if (stream) hwy::FlushStream();
}

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {
namespace {

using ForwardRows = void(const float*, int64_t, int64_t, bool, float*);
using BackwardRows = void(const float*, const float*, int64_t, int64_t, bool, float*);

void RunForward(ForwardRows* kernel, const float* x, int64_t rows, int64_t columns, float* y) {
  const bool stream = WorthStreaming(rows, columns);
  ParallelFor(rows, StreamGrain(rows, columns), [=](int64_t begin, int64_t end) {
    kernel(x + begin * columns, end - begin, columns, stream, y + begin * columns);
  });
}

void RunBackward(BackwardRows* kernel, const float* y, const float* dy, int64_t rows, int64_t columns, float* dx) {
  const bool stream = WorthStreaming(rows, columns);
  ParallelFor(rows, StreamGrain(rows, columns), [=](int64_t begin, int64_t end) {
    const int64_t offset = begin * columns;
    kernel(y + offset, dy + offset, end - begin, columns, stream, dx + offset);
  });
}

}  // namespace

void SoftmaxForward(const float* x, int64_t rows, int64_t columns, float* y) {
  RunForward(ATTNKIT_DISPATCH(SoftmaxRows), x, rows, columns, y);
}

void SoftmaxBackward(const float* y, const float* dy, int64_t rows, int64_t columns, float* dx) {
  RunBackward(ATTNKIT_DISPATCH(SoftmaxBackwardRows), y, dy, rows, columns, dx);
}

void LogSoftmaxForward(const float* x, int64_t rows, int64_t columns, float* y) {
  RunForward(ATTNKIT_DISPATCH(LogSoftmaxRows), x, rows, columns, y);
}

void LogSoftmaxBackward(const float* y, const float* dy, int64_t rows, int64_t columns, float* dx) {
  RunBackward(ATTNKIT_DISPATCH(LogSoftmaxBackwardRows), y, dy, rows, columns, dx);
}

}  // namespace attnkit::kernels
#endif
