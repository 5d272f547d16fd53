// Softmax and log-softmax of rows, and their gradients.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/softmax.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include "attnkit/allocator.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/threads.h"
#include "hwy/cache_control.h"
#include "kernels/dispatch.h"
#include "kernels/grain.h"
#include "kernels/softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

// y[r, c] = e^x[r, c] / sum over c of e^x[r, c]. When the output is streamed, exponentials wait in a buffer that stays in
// the cache, else in y.
void SoftmaxRows(const float* x, int64_t rows, int64_t columns, bool stream, float* y) {
  Buffer<float> waiting(stream ? columns : 0);
  ExpRow row(columns);
  for (int64_t r = 0; r < rows; ++r, x += columns, y += columns) {
    float* stored = stream ? waiting.data() : y;
    row.Run<true>(x, stored);
    row.Finish(stored, row.sum() == 0.0f ? 0.0f : 1.0f / row.sum(), 0.0f, stream, y);
  }
  if (stream) hwy::FlushStream();
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
      access.Store(hn::Mul(access.Load(y + i), hn::Sub(access.Load(dy + i), dot)), dx + i);
    });
  }
  if (stream) hwy::FlushStream();
}

// y = x - logsumexp(x)
void LogSoftmaxRows(const float* x, int64_t rows, int64_t columns, bool stream, float* y) {
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
    ForVectors(columns, [&](auto access, int64_t i, int slot) ATTNKIT_BODY {
      sum.v[slot] = hn::Add(sum.v[slot], access.Load(dy + i));
    });
    const FloatVec total = hn::Set(d, sum.Sum());
    ForStoredVectors(stream, dx, columns, [=](auto access, int64_t i, int) ATTNKIT_BODY {
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
  ParallelFor(rows, RowGrain(columns), [=](int64_t begin, int64_t end) {
    kernel(x + begin * columns, end - begin, columns, stream, y + begin * columns);
  });
}

void RunBackward(BackwardRows* kernel, const float* y, const float* dy, int64_t rows, int64_t columns, float* dx) {
  const bool stream = WorthStreaming(rows, columns);
  ParallelFor(rows, RowGrain(columns), [=](int64_t begin, int64_t end) {
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
