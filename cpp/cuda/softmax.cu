// Softmax and log-softmax of attnkit/kernels/rows.h on CUDA.
#include "cuda/kernels.h"
#include "cuda/row_exponentials.h"
#include "cuda/row_threads.h"

namespace attnkit::cuda {
namespace {

struct SoftmaxRow {
  const float* x;
  int64_t columns;
  float* y;
  template <typename Threads>
  __device__ void operator()(Threads& threads, int64_t r) const {
    const float* from = x + r * columns;
    float* to = y + r * columns;
    RowExponentials row;
    for (int64_t c = threads.thread(); c < columns; c += Threads::kThreads) row.Add(from[c]);
    row.Combine(threads);
    const float shift = row.shift(), scale = row.sum() == 0.0f ? 0.0f : 1.0f / row.sum();
    for (int64_t c = threads.thread(); c < columns; c += Threads::kThreads) to[c] = expf(from[c] - shift) * scale;
  }
};

// dx = y * (dy - sum over c of y * dy)
struct SoftmaxBackwardRow {
  const float *y, *dy;
  int64_t columns;
  float* dx;
  template <typename Threads>
  __device__ void operator()(Threads& threads, int64_t r) const {
    const int64_t first = r * columns;
    float dot = 0.0f;
    for (int64_t c = threads.thread(); c < columns; c += Threads::kThreads) dot += y[first + c] * dy[first + c];
    dot = threads.Sum(dot);
    for (int64_t c = threads.thread(); c < columns; c += Threads::kThreads)
      dx[first + c] = y[first + c] * (dy[first + c] - dot);
  }
};

// y = x - logsumexp(x)
struct LogSoftmaxRow {
  const float* x;
  int64_t columns;
  float* y;
  template <typename Threads>
  __device__ void operator()(Threads& threads, int64_t r) const {
    const float* from = x + r * columns;
    float* to = y + r * columns;
    RowExponentials row;
    for (int64_t c = threads.thread(); c < columns; c += Threads::kThreads) row.Add(from[c]);
    row.Combine(threads);
    const float shift = row.shift(), log_sum = row.sum() == 0.0f ? 0.0f : logf(row.sum());
    for (int64_t c = threads.thread(); c < columns; c += Threads::kThreads) to[c] = (from[c] - shift) - log_sum;
  }
};

// dx = dy - e^y * sum over c of dy
struct LogSoftmaxBackwardRow {
  const float *y, *dy;
  int64_t columns;
  float* dx;
  template <typename Threads>
  __device__ void operator()(Threads& threads, int64_t r) const {
    const int64_t first = r * columns;
    float total = 0.0f;
    for (int64_t c = threads.thread(); c < columns; c += Threads::kThreads) total += dy[first + c];
    total = threads.Sum(total);
    for (int64_t c = threads.thread(); c < columns; c += Threads::kThreads)
      dx[first + c] = dy[first + c] - expf(y[first + c]) * total;
  }
};
}  // namespace

void SoftmaxForward(const float* x, int64_t rows, int64_t columns, float* y) {
  ForEachRow(rows, columns, SoftmaxRow{x, columns, y});
}

void SoftmaxBackward(const float* y, const float* dy, int64_t rows, int64_t columns, float* dx) {
  ForEachRow(rows, columns, SoftmaxBackwardRow{y, dy, columns, dx});
}

void LogSoftmaxForward(const float* x, int64_t rows, int64_t columns, float* y) {
  ForEachRow(rows, columns, LogSoftmaxRow{x, columns, y});
}

void LogSoftmaxBackward(const float* y, const float* dy, int64_t rows, int64_t columns, float* dx) {
  ForEachRow(rows, columns, LogSoftmaxBackwardRow{y, dy, columns, dx});
}

}  // namespace attnkit::cuda
