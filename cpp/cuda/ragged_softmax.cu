// Ragged rows of scores to weights on CUDA: softmax within a window, and the Gaussian around a predicted centre. A warp
// for each row.
#include "cuda/kernels.h"
#include "cuda/ragged.h"
#include "cuda/warp.h"

namespace attnkit::cuda {
namespace {

using kernels::RaggedShape;

__device__ int Lane() { return static_cast<int>(threadIdx.x) % kWarp; }

// Zeros for the pairs of a row that it does not read.
__device__ void ZeroUnread(const RaggedRow& row, float* pairs) {
  for (int64_t j = Lane(); j < row.keys; j += kWarp)
    if (!row.window.Reads(j)) pairs[row.pairs + j] = 0.0f;
}

__global__ void SoftmaxKernel(RaggedTiles rows, const float* scores, float* weights) {
  RaggedRow row;
  if (!FindRow(rows, row)) return;
  ZeroUnread(row, weights);
  const float* x = scores + row.pairs;
  float* y = weights + row.pairs;
  const int64_t from = int64_t{row.window.from} + Lane(), to = row.window.to;
  float largest = -INFINITY;
  for (int64_t j = from; j < to; j += kWarp) largest = largest < x[j] ? x[j] : largest;
  largest = WarpMaximum(largest);
  // A row of -inf is shifted by nothing: -inf - -inf would be NaN.
  const float shift = largest == -INFINITY ? 0.0f : largest;
  float sum = 0.0f;
  for (int64_t j = from; j < to; j += kWarp) {
    const float e = expf(x[j] - shift);
    y[j] = e;
    sum += e;
  }
  sum = WarpSum(sum);
  const float scale = sum > 0.0f ? 1.0f / sum : 0.0f;
  for (int64_t j = from; j < to; j += kWarp) y[j] *= scale;
}

// dscores = weights (dweights - weights . dweights)
__global__ void SoftmaxBackwardKernel(RaggedTiles rows, const float* weights, const float* dweights, float* dscores) {
  RaggedRow row;
  if (!FindRow(rows, row)) return;
  ZeroUnread(row, dscores);
  const float *y = weights + row.pairs, *dy = dweights + row.pairs;
  const int64_t from = int64_t{row.window.from} + Lane(), to = row.window.to;
  float sum = 0.0f;
  for (int64_t j = from; j < to; j += kWarp) sum += y[j] * dy[j];
  sum = WarpSum(sum);
  for (int64_t j = from; j < to; j += kWarp) dscores[row.pairs + j] = y[j] * (dy[j] - sum);
}

// exp(-distance^2 / (2 sigma^2))
struct Bell {
  float exponent;
  explicit Bell(float sigma) : exponent(-0.5f / (sigma * sigma)) {}
  __device__ float operator()(float distance) const { return expf(distance * distance * exponent); }
};

__global__ void GaussianKernel(RaggedTiles rows, const float* weights, const float* centres, Bell bell, float* out) {
  RaggedRow row;
  if (!FindRow(rows, row)) return;
  const float centre = centres[row.query];
  for (int64_t j = Lane(); j < row.keys; j += kWarp) {
    const int64_t at = row.pairs + j;
    out[at] = row.window.Reads(j) ? weights[at] * bell(static_cast<float>(j) - centre) : 0.0f;
  }
}

__global__ void GaussianBackwardKernel(RaggedTiles rows, const float* weights, const float* centres, Bell bell,
                                       float variance, const float* dout, float* dweights, float* dcentres) {
  RaggedRow row;
  if (!FindRow(rows, row)) return;
  ZeroUnread(row, dweights);
  const float centre = centres[row.query];
  float sum = 0.0f;
  for (int64_t j = int64_t{row.window.from} + Lane(); j < row.window.to; j += kWarp) {
    const int64_t at = row.pairs + j;
    const float distance = static_cast<float>(j) - centre, dweight = dout[at] * bell(distance);
    sum += dweight * weights[at] * distance;
    dweights[at] = dweight;
  }
  sum = WarpSum(sum);
  if (Lane() == 0) dcentres[row.query] = sum / variance;
}

}  // namespace

void RaggedSoftmax(const RaggedShape& shape, const float* scores, float* weights) {
  LaunchRows(shape, false, SoftmaxKernel, scores, weights);
}

void RaggedSoftmaxBackward(const RaggedShape& shape, const float* weights, const float* dweights, float* dscores) {
  LaunchRows(shape, false, SoftmaxBackwardKernel, weights, dweights, dscores);
}

void RaggedGaussian(const RaggedShape& shape, const float* weights, const float* centres, float sigma, float* out) {
  LaunchRows(shape, false, GaussianKernel, weights, centres, Bell(sigma), out);
}

void RaggedGaussianBackward(const RaggedShape& shape, const float* weights, const float* centres, float sigma,
                            const float* dout, float* dweights, float* dcentres) {
  LaunchRows(shape, true, GaussianBackwardKernel, weights, centres, Bell(sigma), sigma * sigma, dout, dweights,
             dcentres);
}

}  // namespace attnkit::cuda
