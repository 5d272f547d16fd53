// Rows brought to length one on CUDA, for cosines. A warp for each row.
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/warp.h"

namespace attnkit::cuda {
namespace {

constexpr int kRows = 8;  // of a block

__device__ int64_t Row() { return static_cast<int64_t>(blockIdx.x) * kRows + threadIdx.x / kWarp; }
__device__ int Lane() { return static_cast<int>(threadIdx.x) % kWarp; }

__device__ float RowDot(const float* x, const float* y, int64_t size) {
  float sum = 0.0f;
  for (int64_t c = Lane(); c < size; c += kWarp) sum += x[c] * y[c];
  return WarpSum(sum);
}

__global__ void UnitForwardKernel(const float* x, int64_t rows, int64_t columns, float eps, float* y, float* norms) {
  const int64_t row = Row();
  if (row >= rows) return;
  x += row * columns;
  y += row * columns;
  const float length = sqrtf(RowDot(x, x, columns)), norm = length < eps ? eps : length, scale = 1.0f / norm;
  for (int64_t c = Lane(); c < columns; c += kWarp) y[c] = x[c] * scale;
  if (Lane() == 0) norms[row] = norm;
}

__global__ void UnitBackwardKernel(const float* y, const float* norms, const float* dy, int64_t rows, int64_t columns,
                                   float eps, float* dx) {
  const int64_t row = Row();
  if (row >= rows) return;
  y += row * columns;
  dy += row * columns;
  dx += row * columns;
  const float norm = norms[row], scale = 1.0f / norm;
  const float along = norm > eps ? RowDot(y, dy, columns) : 0.0f;
  for (int64_t c = Lane(); c < columns; c += kWarp) dx[c] = (dy[c] - y[c] * along) * scale;
}

}  // namespace

void UnitRowsForward(const float* x, int64_t rows, int64_t columns, float eps, float* y, float* norms) {
  Launch({dim3(Blocks(rows, kRows)), dim3(kRows * kWarp)}, UnitForwardKernel, x, rows, columns, eps, y, norms);
}

void UnitRowsBackward(const float* y, const float* norms, const float* dy, int64_t rows, int64_t columns, float eps,
                      float* dx) {
  Launch({dim3(Blocks(rows, kRows)), dim3(kRows * kWarp)}, UnitBackwardKernel, y, norms, dy, rows, columns, eps, dx);
}

}  // namespace attnkit::cuda
