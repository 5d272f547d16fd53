// attnkit/kernels/vision.h on CUDA: batch normalisation of columns (Ioffe & Szegedy, 2015), with the sum and the ReLU
// that follow it in residual networks.
#include "cuda/column_sums.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"
#include "cuda/unroll.h"

namespace attnkit::cuda {
namespace {

// How many numbers, their mean and the sum of squared deviations from it. Parts with their own means are joined
// without cancellation (Chan et al., 1979).
template <typename T>
struct Moments {
  T count = T(0), mean = T(0), squares = T(0);

  __device__ void Join(T size, T other_mean, T other_squares) {
    if (size == T(0)) return;
    const T gap = other_mean - mean, share = size / (count + size);
    squares += other_squares + gap * gap * count * share;
    mean += gap * share;
    count += size;
  }
};

// The same of the warps of a block for their lane's column, in the order of the warps; good in warp 0.
__device__ Moments<double> JoinWarps(const Moments<double>& mine, double* room) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  constexpr int kOfBlock = kColumnWarps * kWarp;
  room[threadIdx.x] = mine.count;
  room[kOfBlock + threadIdx.x] = mine.mean;
  room[2 * kOfBlock + threadIdx.x] = mine.squares;
  __syncthreads();
  Moments<double> all;
  if (warp == 0) {
    for (int i = lane; i < kOfBlock; i += kWarp) all.Join(room[i], room[kOfBlock + i], room[2 * kOfBlock + i]);
  }
  return all;
}

// Rows that a thread holds at a time: they are read once and, with their mean known, looked at again in registers.
constexpr int kHeldRows = 16, kMomentsTurn = kHeldRows * kColumnWarps;

__device__ int64_t RowsOfChunk(const ColumnCut& cut, int64_t chunk) {
  const int64_t left = cut.rows - chunk * cut.chunk;
  return left < cut.chunk ? left : cut.chunk;
}

// parts [chunks, 2, columns]: means, sums of squares.
__global__ void PartMomentsKernel(ColumnCut cut, const float* x, float* parts) {
  __shared__ double room[3 * kColumnWarps * kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const int64_t chunk = blockIdx.x / cut.tiles, column = blockIdx.x % cut.tiles * kWarp + lane;
  const int64_t begin = chunk * cut.chunk, rows = RowsOfChunk(cut, chunk);
  Moments<float> moments;
  for (int64_t turn = warp; turn < rows && column < cut.columns; turn += kMomentsTurn) {
    const float* from = x + (begin + turn) * cut.columns + column;
    const int64_t left = (rows - turn + kColumnWarps - 1) / kColumnWarps;
    const int held = static_cast<int>(left < kHeldRows ? left : kHeldRows);
    float values[kHeldRows], sum = 0.0f, squares = 0.0f;
    ATTNKIT_UNROLL
    for (int i = 0; i < kHeldRows; ++i) {
      values[i] = i < held ? from[i * kColumnWarps * cut.columns] : 0.0f;
      sum += values[i];
    }
    const float mean = sum / static_cast<float>(held);
    ATTNKIT_UNROLL
    for (int i = 0; i < kHeldRows; ++i) {
      const float deviation = values[i] - mean;
      if (i < held) squares += deviation * deviation;
    }
    moments.Join(static_cast<float>(held), mean, squares);
  }
  Moments<double> wide;
  wide.count = moments.count, wide.mean = moments.mean, wide.squares = moments.squares;
  wide = JoinWarps(wide, room);
  if (warp == 0 && column < cut.columns) {
    parts[chunk * 2 * cut.columns + column] = static_cast<float>(wide.mean);
    parts[(chunk * 2 + 1) * cut.columns + column] = static_cast<float>(wide.squares);
  }
}

__global__ void JoinMomentsKernel(ColumnCut cut, const float* parts, float* mean, float* variance) {
  __shared__ double room[3 * kColumnWarps * kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kWarp + lane;
  Moments<double> moments;
  for (int64_t chunk = warp; chunk < cut.chunks && column < cut.columns; chunk += kColumnWarps) {
    moments.Join(static_cast<double>(RowsOfChunk(cut, chunk)), parts[chunk * 2 * cut.columns + column],
                 parts[(chunk * 2 + 1) * cut.columns + column]);
  }
  moments = JoinWarps(moments, room);
  if (warp == 0 && column < cut.columns) {
    mean[column] = static_cast<float>(moments.mean);
    variance[column] = static_cast<float>(moments.squares / static_cast<double>(cut.rows));
  }
}

struct MoveBody {
  const float* latest;
  float factor, momentum;
  float* running;
  __device__ void operator()(int64_t i) const { running[i] += momentum * (factor * latest[i] - running[i]); }
};

struct InverseDeviationBody {
  const float* variance;
  float eps;
  float* rstd;
  __device__ void operator()(int64_t i) const { rstd[i] = 1.0f / sqrtf(variance[i] + eps); }
};

struct ForwardBody {
  const float *x, *residual;
  kernels::BatchNormColumns norm;
  int64_t columns;
  bool relu;
  float* y;

  __device__ void operator()(int64_t i) const {
    const int64_t c = i % columns;
    float v = (x[i] - norm.mean[c]) * (norm.rstd[c] * norm.weight[c]) + norm.bias[c];
    if (residual) v += residual[i];
    y[i] = relu && v < 0.0f ? 0.0f : v;  // a NaN stays
  }
};

// dy where the ReLU let through.
struct Passed {
  const float *dy, *y;
  __device__ float operator()(int64_t i) const { return !y || y[i] > 0.0f ? dy[i] : 0.0f; }
};

struct AddGradient {
  Passed passed;
  const float *x, *mean, *rstd;
  int64_t columns;
  __device__ void operator()(int64_t row, int64_t column, float sums[2]) const {
    const int64_t i = row * columns + column;
    const float g = passed(i);
    sums[0] += g;
    sums[1] += g * ((x[i] - mean[column]) * rstd[column]);
  }
};

struct WriteGradient {
  float *dbias, *dweight;
  __device__ void operator()(int64_t column, const double sums[2]) const {
    dbias[column] = static_cast<float>(sums[0]);
    dweight[column] = static_cast<float>(sums[1]);
  }
};

struct InputGradientBody {
  Passed passed;
  const float* x;
  kernels::BatchNormColumns norm;
  const float *dweight, *dbias;  // null with fixed statistics
  int64_t columns;
  float share;  // of a row in a mean
  float *dx, *dresidual;

  __device__ void operator()(int64_t i) const {
    const float g = passed(i);
    if (dx) {
      const int64_t c = i % columns;
      const float rstd = norm.rstd[c];
      float v = g;
      if (dbias) {
        const float xhat = (x[i] - norm.mean[c]) * rstd;
        v = (g - dbias[c] * share) - xhat * (dweight[c] * share);
      }
      dx[i] = v * (rstd * norm.weight[c]);
    }
    if (dresidual) dresidual[i] = g;  // last: it may be dy
  }
};

}  // namespace

void ColumnMoments(const float* x, int64_t rows, int64_t columns, float* mean, float* variance) {
  const ColumnCut cut(rows, columns, kMomentsTurn);
  const Scratch<float> parts(cut.chunks * 2 * columns);
  Launch(cut.parts(), PartMomentsKernel, cut, x, parts.data());
  Launch(cut.joins(), JoinMomentsKernel, cut, parts.data(), mean, variance);
}

void MoveTowards(const float* latest, float factor, float momentum, int64_t size, float* running) {
  ForEach(size, MoveBody{latest, factor, momentum, running});
}

void InverseDeviation(const float* variance, float eps, int64_t size, float* rstd) {
  ForEach(size, InverseDeviationBody{variance, eps, rstd});
}

void BatchNormForward(const float* x, const float* residual, const kernels::BatchNormColumns& norm, int64_t rows,
                      int64_t columns, bool relu, float* y) {
  ForEach(rows * columns, ForwardBody{x, residual, norm, columns, relu, y});
}

void BatchNormBackward(const float* dy, const float* x, const float* y, const kernels::BatchNormColumns& norm,
                       int64_t rows, int64_t columns, bool batch_statistics, float* dx, float* dresidual,
                       float* dweight, float* dbias) {
  const Passed passed{dy, y};
  SumColumns<2>(rows, columns, AddGradient{passed, x, norm.mean, norm.rstd, columns}, WriteGradient{dbias, dweight});
  if (!dx && !dresidual) return;
  ForEach(rows * columns,
          InputGradientBody{passed, x, norm, batch_statistics ? dweight : nullptr, batch_statistics ? dbias : nullptr,
                            columns, 1.0f / static_cast<float>(rows), dx, dresidual});
}

}  // namespace attnkit::cuda
