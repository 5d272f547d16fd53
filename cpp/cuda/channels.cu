// attnkit/kernels/vision.h on CUDA: numbers that scale a part of a batch: the channels of an image (the gate of
// squeeze-and-excitation), the rows of a sequence (stochastic depth).
#include "cuda/column_sums.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"

namespace attnkit::cuda {
namespace {

struct ScaleBody {
  const float *x, *gate;
  int64_t image, channels;  // image: numbers of one
  float* y;
  __device__ void operator()(int64_t i) const { y[i] = x[i] * gate[i / image * channels + i % channels]; }
};

// A block for 32 channels of an image, whatever the batch.
__global__ void GateGradientKernel(const float* x, const float* dy, int64_t pixels, int64_t channels, int64_t tiles,
                                   float* dgate) {
  __shared__ float room[kColumnWarps * kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const int64_t image = blockIdx.x / tiles, channel = blockIdx.x % tiles * kWarp + lane;
  float sum = 0.0f;
  if (channel < channels) {
    const int64_t first = image * pixels * channels + channel;
    for (int64_t p = warp; p < pixels; p += kColumnWarps) sum += x[first + p * channels] * dy[first + p * channels];
  }
  sum = SumOfWarps(sum, room);
  if (warp == 0 && channel < channels) dgate[image * channels + channel] = sum;
}

struct SequencesCall {
  const float *residual, *x;
  const int32_t* offsets;
  const float* scale;
  int64_t columns;
  float* out;
};

// The blocks of y share a sequence's numbers.
__global__ void AddScaledKernel(SequencesCall call) {
  const int64_t begin = call.offsets[blockIdx.x] * call.columns, end = call.offsets[blockIdx.x + 1] * call.columns;
  const float scale = call.scale[blockIdx.x];
  const int64_t step = static_cast<int64_t>(gridDim.y) * blockDim.x;
  for (int64_t i = begin + static_cast<int64_t>(blockIdx.y) * blockDim.x + threadIdx.x; i < end; i += step) {
    if (!call.residual)
      call.out[i] = scale * call.x[i];
    else  // what is dropped is not looked at: it need not be finite
      call.out[i] = scale == 0.0f ? call.residual[i] : call.residual[i] + scale * call.x[i];
  }
}

}  // namespace

void ScaleChannels(const float* x, const float* gate, int64_t images, int64_t pixels, int64_t channels, float* y) {
  ForEach(images * pixels * channels, ScaleBody{x, gate, pixels * channels, channels, y});
}

void ScaleChannelsGateGradient(const float* x, const float* dy, int64_t images, int64_t pixels, int64_t channels,
                               float* dgate) {
  const int64_t tiles = (channels + kWarp - 1) / kWarp;
  Launch({dim3(static_cast<unsigned>(images * tiles)), dim3(kColumnWarps * kWarp)}, GateGradientKernel, x, dy, pixels,
         channels, tiles, dgate);
}

void AddScaledSequences(const float* residual, const float* x, const int32_t* offsets, const float* scale,
                        int64_t sequences, int64_t columns, float* out) {
  constexpr int kThreads = 256;
  constexpr int64_t kWantedBlocks = 1024, kMostOfSequence = 32;
  const int64_t of_sequence =
      std::min(kMostOfSequence, std::max<int64_t>(1, kWantedBlocks / std::max<int64_t>(1, sequences)));
  Launch({dim3(static_cast<unsigned>(sequences), static_cast<unsigned>(of_sequence)), dim3(kThreads)}, AddScaledKernel,
         SequencesCall{residual, x, offsets, scale, columns, out});
}

}  // namespace attnkit::cuda
