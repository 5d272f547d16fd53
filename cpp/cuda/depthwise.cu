// attnkit/kernels/vision.h on CUDA: depthwise convolution, one filter a channel, so neighbouring threads are
// neighbouring channels and no product of matrices is to be had.
#include "cuda/activation.h"
#include "cuda/column_sums.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"
#include "cuda/unroll.h"
#include "cuda/window.h"

namespace attnkit::cuda {
namespace {

struct Depthwise {
  int64_t batch;
  SlidingAxis rows, columns;
  int64_t channels;

  explicit Depthwise(const kernels::Conv2dShape& s)
      : batch(s.batch), rows(s.rows), columns(s.columns), channels(s.channels) {}

  int64_t outputs() const { return batch * rows.outputs * columns.outputs * channels; }
  int64_t inputs() const { return batch * rows.size * columns.size * channels; }
  __host__ __device__ int64_t taps() const { return rows.kernel * columns.kernel; }
};

// weight [channels, taps] turned to [taps, channels], which threads read side by side.
struct TurnBody {
  const float* weight;
  int64_t channels, taps;
  float* turned;
  __device__ void operator()(int64_t i) const { turned[i] = weight[i % channels * taps + i / channels]; }
};

struct ForwardBody {
  Depthwise s;
  const float *x, *weight, *bias;
  kernels::Activation activation;
  float *pre, *y;

  __device__ void operator()(int64_t i) const {
    const Spot to(i, s.rows.outputs, s.columns.outputs, s.channels);
    const int64_t top = s.rows.FirstTap(to.row), bottom = s.rows.EndTap(to.row);
    const int64_t left = s.columns.FirstTap(to.column), right = s.columns.EndTap(to.column);
    const float* image = x + to.image * s.rows.size * s.columns.size * s.channels + to.channel;
    float sum = bias ? bias[to.channel] : 0.0f;
    for (int64_t ty = top; ty < bottom; ++ty) {
      const int64_t line = (s.rows.Begin(to.row) + ty) * s.columns.size + s.columns.Begin(to.column);
      const float* filter = weight + ty * s.columns.kernel * s.channels + to.channel;
      for (int64_t tx = left; tx < right; ++tx) sum += image[(line + tx) * s.channels] * filter[tx * s.channels];
    }
    if (pre) pre[i] = sum;
    y[i] = Activate(activation, sum);
  }
};

struct InputGradientBody {
  Depthwise s;
  const float *dy, *weight;
  float* dx;

  __device__ void operator()(int64_t i) const {
    const Spot at(i, s.rows.size, s.columns.size, s.channels);
    const int64_t top = s.rows.FirstOutput(at.row), left = s.columns.FirstOutput(at.column);
    const int64_t right = s.columns.LastOutput(at.column);
    float sum = 0.0f;
    for (int64_t oy = s.rows.LastOutput(at.row); oy >= top; --oy) {
      const float* filter = weight + s.rows.Tap(at.row, oy) * s.columns.kernel * s.channels + at.channel;
      const float* line = dy + (at.image * s.rows.outputs + oy) * s.columns.outputs * s.channels + at.channel;
      for (int64_t ox = right; ox >= left; --ox)
        sum += line[ox * s.channels] * filter[s.columns.Tap(at.column, ox) * s.channels];
    }
    dx[i] = sum;
  }
};

// Taps of one row of the window that a thread sums together: dy is read once for them.
constexpr int kTapsTogether = 4;

// parts [chunks, taps, channels]. A block has a chunk of lines of outputs, 32 channels and a few taps; its warps share
// the lines.
__global__ void WeightGradientKernel(Depthwise s, ColumnCut cut, const float* x, const float* dy, float* parts) {
  __shared__ float room[kColumnWarps * kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const int64_t across = (s.columns.kernel + kTapsTogether - 1) / kTapsTogether, groups = s.rows.kernel * across;
  const int64_t group = blockIdx.x % groups, chunk = blockIdx.x / groups / cut.tiles;
  const int64_t channel = blockIdx.x / groups % cut.tiles * kWarp + lane;
  const int64_t ty = group / across, tx = group % across * kTapsTogether;
  const int64_t end = (chunk + 1) * cut.chunk < cut.rows ? (chunk + 1) * cut.chunk : cut.rows;
  float sums[kTapsTogether] = {};
  for (int64_t line = chunk * cut.chunk + warp; line < end && channel < s.channels; line += kColumnWarps) {
    const int64_t iy = s.rows.Begin(line % s.rows.outputs) + ty;
    if (iy < 0 || iy >= s.rows.size) continue;
    const float* from = dy + line * s.columns.outputs * s.channels + channel;
    const float* row = x + (line / s.rows.outputs * s.rows.size + iy) * s.columns.size * s.channels + channel;
    for (int64_t ox = 0; ox < s.columns.outputs; ++ox) {
      const float g = from[ox * s.channels];
      const int64_t ix = s.columns.Begin(ox) + tx;
      ATTNKIT_UNROLL
      for (int t = 0; t < kTapsTogether; ++t) {
        const bool inside = ix + t >= 0 && ix + t < s.columns.size && tx + t < s.columns.kernel;
        if (inside) sums[t] += g * row[(ix + t) * s.channels];
      }
    }
  }
  for (int t = 0; t < kTapsTogether; ++t) {
    const float sum = SumOfWarps(sums[t], room);
    if (warp == 0 && channel < s.channels && tx + t < s.columns.kernel)
      parts[(chunk * s.taps() + ty * s.columns.kernel + tx + t) * s.channels + channel] = sum;
  }
}

// Column tap * channels + channel to dweight [channels, taps].
struct WriteTurned {
  int64_t channels, taps;
  float* dweight;
  __device__ void operator()(int64_t column, const double sums[1]) const {
    dweight[column % channels * taps + column / channels] = static_cast<float>(sums[0]);
  }
};

}  // namespace

void DepthwiseForward(const kernels::Conv2dShape& shape, const float* x, const float* weight,
                      const kernels::Epilogue& epilogue, float* y) {
  const Depthwise s(shape);
  const Scratch<float> turned(s.channels * s.taps());
  ForEach(s.channels * s.taps(), TurnBody{weight, s.channels, s.taps(), turned.data()});
  ForEach(s.outputs(),
          ForwardBody{s, x, turned.data(), epilogue.bias, epilogue.activation, epilogue.pre_activation, y});
}

void DepthwiseInputGradient(const kernels::Conv2dShape& shape, const float* dy, const float* weight, float* dx) {
  const Depthwise s(shape);
  const Scratch<float> turned(s.channels * s.taps());
  ForEach(s.channels * s.taps(), TurnBody{weight, s.channels, s.taps(), turned.data()});
  ForEach(s.inputs(), InputGradientBody{s, dy, turned.data(), dx});
}

void DepthwiseWeightGradient(const kernels::Conv2dShape& shape, const float* x, const float* dy, float* dweight) {
  const Depthwise s(shape);
  const ColumnCut lines(s.batch * s.rows.outputs, s.channels, kColumnWarps);
  const Scratch<float> parts(lines.chunks * s.taps() * s.channels);
  const int64_t groups = s.rows.kernel * ((s.columns.kernel + kTapsTogether - 1) / kTapsTogether);
  LaunchShape blocks = lines.parts();
  blocks.grid.x *= static_cast<unsigned>(groups);
  Launch(blocks, WeightGradientKernel, s, lines, x, dy, parts.data());
  ColumnCut joined = lines;
  joined.columns = s.taps() * s.channels;
  joined.tiles = (joined.columns + kWarp - 1) / kWarp;
  Launch(joined.joins(), JoinColumnsKernel<1, WriteTurned>, joined, parts.data(),
         WriteTurned{s.channels, s.taps(), dweight});
}

}  // namespace attnkit::cuda
