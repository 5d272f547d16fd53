// Biases by distance (attnkit/kernels/attention.h) on CUDA, written out and gathered.
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/warp.h"

namespace attnkit::cuda {
namespace {

struct SpreadBody {
  kernels::PositionBias bias;
  const float* table;
  int64_t queries, columns;
  float* spread;

  __device__ void operator()(int64_t at) const {
    const int64_t h = at / columns, distance = at % columns - (queries - 1) - bias.query_offset;
    const int64_t column = (distance < -bias.reach ? -bias.reach : distance > bias.reach ? bias.reach : distance);
    spread[at] = table[h * (2 * bias.reach + 1) + column + bias.reach];
  }
};

// A warp for each number of the table: all but the first and last of a head's row have one column at most.
__global__ void GatherKernel(kernels::PositionBias bias, const float* dspread, int64_t queries, int64_t columns,
                             float* dtable) {
  const int64_t at = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / kWarp;
  const int64_t width = 2 * bias.reach + 1, h = at / width, column = at % width;
  if (h >= bias.heads) return;  // the whole warp
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t middle = column - bias.reach + queries - 1 + bias.query_offset;
  int64_t begin = column == 0 ? 0 : middle, end = column == width - 1 ? columns : middle + 1;
  if (begin < 0) begin = 0;
  if (end > columns) end = columns;
  double sum = 0;
  for (int64_t from = begin + lane; from < end; from += kWarp) sum += dspread[h * columns + from];
  sum = WarpSum(sum);
  if (lane == 0) dtable[at] = static_cast<float>(sum);
}

}  // namespace

void SpreadPositionBias(const kernels::PositionBias& bias, const float* table, int64_t queries, int64_t keys,
                        float* spread) {
  const int64_t columns = kernels::DistanceColumns(queries, keys);
  ForEach(bias.heads * columns, SpreadBody{bias, table, queries, columns, spread});
}

void GatherPositionBias(const kernels::PositionBias& bias, const float* dspread, int64_t queries, int64_t keys,
                        float* dtable) {
  constexpr int kThreads = 256;
  const int64_t columns = kernels::DistanceColumns(queries, keys);
  Launch({dim3(Blocks(bias.heads * (2 * bias.reach + 1), kThreads / kWarp)), dim3(kThreads)}, GatherKernel, bias,
         dspread, queries, columns, dtable);
}

}  // namespace attnkit::cuda
