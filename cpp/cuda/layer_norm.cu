// Residual + dropout + norm of attnkit/kernels/rows.h on CUDA.
#include "cuda/column_sums.h"
#include "cuda/dropout.h"
#include "cuda/kernels.h"
#include "cuda/row_threads.h"

namespace attnkit::cuda {
namespace {

using kernels::Norm;

// to = residual + dropout(x) for one row; adds it up.
struct AddColumn {
  const float *x, *residual;
  float *to, total;
  __device__ void operator()(int64_t c, float factor) {
    float v = x[c] * factor;
    if (residual) v += residual[c];
    to[c] = v;
    total += v;
  }
};

template <Norm kNorm>
struct ForwardRow {
  const float *x, *residual, *weight, *bias;
  int64_t columns;
  float eps;
  DropoutRule rule;
  bool plain;  // the sum is x itself
  float *sum, *y, *mean, *rstd;

  template <typename Threads>
  __device__ void operator()(Threads& threads, int64_t r) const {
    const int64_t first = r * columns;
    const float* s = x + first;
    float total = 0.0f;
    if (!plain) {
      // A sum that nobody wants waits in y.
      AddColumn add = {s, residual ? residual + first : nullptr, (sum ? sum : y) + first, 0.0f};
      ForDropoutColumns(threads, rule, first, columns, add);
      total = add.total;
      s = add.to;
      threads.Sync();  // with dropout the columns are cut otherwise below
    } else if (kNorm == Norm::kLayer) {
      for (int64_t c = threads.thread(); c < columns; c += Threads::kThreads) total += s[c];
    }
    const float divisor = static_cast<float>(columns);
    const float center = kNorm == Norm::kLayer ? threads.Sum(total) / divisor : 0.0f;
    float squares = 0.0f;
    for (int64_t c = threads.thread(); c < columns; c += Threads::kThreads) {
      const float deviation = s[c] - center;
      squares += deviation * deviation;
    }
    const float factor = 1.0f / sqrtf(threads.Sum(squares) / divisor + eps);
    for (int64_t c = threads.thread(); c < columns; c += Threads::kThreads) {
      float v = (s[c] - center) * factor;
      if (weight) v *= weight[c];
      if (bias) v += bias[c];
      y[first + c] = v;
    }
    if (threads.thread() == 0) {
      if (mean) mean[r] = center;
      if (rstd) rstd[r] = factor;
    }
  }
};

template <Norm kNorm>
__device__ float MeanOf(const float* mean, int64_t r) {
  return kNorm == Norm::kLayer ? mean[r] : 0.0f;
}

// dsum = rstd * (g - mean of g - xhat * mean of g * xhat) + dsum_in, where xhat = (sum - mean) * rstd and
// g = dy * weight. The mean of g is there because the row's mean was taken off.
struct GradientColumn {
  const float *dy, *dsum_in, *sum, *weight;
  float center, rstd, g_mean, g_xhat_mean;
  float *dx, *dresidual;
  __device__ void operator()(int64_t c, float factor) {
    const float xhat = (sum[c] - center) * rstd, g = weight ? dy[c] * weight[c] : dy[c];
    float dsum = (g - g_mean - xhat * g_xhat_mean) * rstd;
    if (dsum_in) dsum += dsum_in[c];
    if (dresidual) dresidual[c] = dsum;
    if (dx) dx[c] = dsum * factor;
  }
};

template <Norm kNorm>
struct BackwardRow {
  const float *dy, *dsum_in, *sum, *weight, *mean, *rstd;
  int64_t columns;
  DropoutRule rule;
  float *dx, *dresidual;

  template <typename Threads>
  __device__ void operator()(Threads& threads, int64_t r) const {
    const int64_t first = r * columns;
    const float center = MeanOf<kNorm>(mean, r), factor = rstd[r], scale = 1.0f / static_cast<float>(columns);
    float g_total = 0.0f, g_xhat_total = 0.0f;
    for (int64_t c = threads.thread(); c < columns; c += Threads::kThreads) {
      const float g = weight ? dy[first + c] * weight[c] : dy[first + c];
      g_total += g;
      g_xhat_total += g * ((sum[first + c] - center) * factor);
    }
    const float g_mean = kNorm == Norm::kLayer ? threads.Sum(g_total) * scale : 0.0f;
    const float g_xhat_mean = threads.Sum(g_xhat_total) * scale;
    GradientColumn column = {dy + first,
                             dsum_in ? dsum_in + first : nullptr,
                             sum + first,
                             weight,
                             center,
                             factor,
                             g_mean,
                             g_xhat_mean,
                             dx ? dx + first : nullptr,
                             dresidual ? dresidual + first : nullptr};
    ForDropoutColumns(threads, rule, first, columns, column);
  }
};

// What a number of a row adds to the gradients of its column's weight and bias.
template <Norm kNorm>
struct AddParameters {
  const float *dy, *sum, *mean, *rstd;
  int64_t columns;
  __device__ void operator()(int64_t r, int64_t c, float sums[2]) const {
    const float g = dy[r * columns + c];
    sums[0] += g * ((sum[r * columns + c] - MeanOf<kNorm>(mean, r)) * rstd[r]);
    sums[1] += g;
  }
};
struct WriteParameters {
  float *dweight, *dbias;
  __device__ void operator()(int64_t c, const double sums[2]) const {
    dweight[c] = static_cast<float>(sums[0]);
    if (dbias) dbias[c] = static_cast<float>(sums[1]);
  }
};

template <Norm kNorm>
void Forward(const ForwardRow<kNorm>& row, int64_t rows) {
  ForEachRow(rows, row.columns, row);
}

template <Norm kNorm>
void Backward(const BackwardRow<kNorm>& row, int64_t rows, float* dweight, float* dbias) {
  // The parameters first: dx may lie where dy does.
  const int64_t columns = row.columns;
  if (dweight) {
    SumColumns<2>(rows, columns, AddParameters<kNorm>{row.dy, row.sum, row.mean, row.rstd, columns},
                  WriteParameters{dweight, dbias});
  } else if (dbias) {
    ColumnSums(row.dy, rows, columns, columns, false, dbias);
  }
  if (row.dx || row.dresidual) ForEachRow(rows, columns, row);
}
}  // namespace

void AddDropoutLayerNormForward(const float* x, const float* residual, const float* weight, const float* bias,
                                int64_t rows, int64_t columns, float eps, float p, PhiloxKey key, float* sum, float* y,
                                float* mean, float* rstd, Norm norm) {
  const DropoutRule rule(p, key);
  const bool plain = p == 0.0f && !residual && (!sum || sum == x);
  if (norm == Norm::kLayer) {
    Forward<Norm::kLayer>({x, residual, weight, bias, columns, eps, rule, plain, sum, y, mean, rstd}, rows);
  } else {
    Forward<Norm::kRms>({x, residual, weight, bias, columns, eps, rule, plain, sum, y, mean, rstd}, rows);
  }
}

void AddDropoutLayerNormBackward(const float* dy, const float* dsum_in, const float* sum, const float* weight,
                                 const float* mean, const float* rstd, int64_t rows, int64_t columns, float p,
                                 PhiloxKey key, float* dx, float* dresidual, float* dweight, float* dbias, Norm norm) {
  const DropoutRule rule(dx ? p : 0.0f, key);  // the mask is dx's alone
  if (norm == Norm::kLayer) {
    Backward<Norm::kLayer>({dy, dsum_in, sum, weight, mean, rstd, columns, rule, dx, dresidual}, rows, dweight, dbias);
  } else {
    Backward<Norm::kRms>({dy, dsum_in, sum, weight, mean, rstd, columns, rule, dx, dresidual}, rows, dweight, dbias);
  }
}

}  // namespace attnkit::cuda
