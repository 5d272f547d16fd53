// CrossEntropy of attnkit/kernels/rows.h on CUDA.
#include "cuda/check_ids.h"
#include "cuda/kernels.h"
#include "cuda/row_exponentials.h"
#include "cuda/row_threads.h"

namespace attnkit::cuda {
namespace {

struct CrossEntropyRow {
  const float* x;
  const int32_t* labels;
  int64_t columns;
  float smoothing;
  int32_t ignore_index;
  float scale;
  float *losses, *nlls, *dx;

  template <typename Threads>
  __device__ void operator()(Threads& threads, int64_t r) const {
    const int32_t label = labels[r];
    const float* from = x + r * columns;
    if (label == ignore_index) {
      Store(threads, r, 0.0f, 0.0f);
      for (int64_t c = threads.thread(); dx && c < columns; c += Threads::kThreads) dx[r * columns + c] = 0.0f;
      return;
    }
    RowExponentials row;
    float total = 0.0f;
    for (int64_t c = threads.thread(); c < columns; c += Threads::kThreads) {
      row.Add(from[c]);
      total += from[c];
    }
    const float logit = from[label];
    row.Combine(threads);
    if (smoothing > 0.0f) total = threads.Sum(total);
    threads.Sync();  // all have the logit, which dx may overwrite

    const float log_sum = logf(row.sum()), nll = (row.maximum() - logit) + log_sum, size = static_cast<float>(columns);
    float loss = nll;
    if (smoothing > 0.0f) {
      const float mean_nll = (row.maximum() - total / size) + log_sum;
      loss = (1.0f - smoothing) * nll + smoothing * mean_nll;
    }
    Store(threads, r, loss, nll);
    if (!dx) return;
    // scale * (p - (1 - smoothing) * onehot(label) - smoothing / columns)
    const float shift = row.shift(), factor = scale / row.sum();
    const float offset = smoothing > 0.0f ? -scale * smoothing / size : 0.0f, hit = scale * (1.0f - smoothing);
    for (int64_t c = threads.thread(); c < columns; c += Threads::kThreads) {
      const float gradient = expf(from[c] - shift) * factor + offset;
      dx[r * columns + c] = c == label ? gradient - hit : gradient;
    }
  }

 private:
  template <typename Threads>
  __device__ void Store(const Threads& threads, int64_t r, float loss, float nll) const {
    if (threads.thread() > 0) return;
    losses[r] = loss;
    if (nlls) nlls[r] = nll;
  }
};

struct CheckLabel {
  int64_t columns;
  int32_t ignore_index;
  void operator()(int32_t label, int64_t r) const {
    ATTNKIT_CHECK(label == ignore_index || (label >= 0 && label < columns), "[cross_entropy] expected labels in [0, ",
                  columns, ") or ", ignore_index, ", got ", label, " in row ", r);
  }
};
}  // namespace

void CrossEntropy(const float* x, const int32_t* labels, int64_t rows, int64_t columns, float smoothing,
                  int32_t ignore_index, float scale, float* losses, float* nlls, float* dx, bool inside) {
  if (!inside) CheckOnHost(labels, rows, CheckLabel{columns, ignore_index});
  ForEachRow(rows, columns, CrossEntropyRow{x, labels, columns, smoothing, ignore_index, scale, losses, nlls, dx});
}

}  // namespace attnkit::cuda
