// One key for each query on CUDA: the one of largest weight, or a sample. A warp for each row.
#include "attnkit/random.h"
#include "cuda/kernels.h"
#include "cuda/ragged.h"
#include "cuda/warp.h"

namespace attnkit::cuda {
namespace {

using kernels::RaggedShape;

__device__ int Lane() { return static_cast<int>(threadIdx.x) % kWarp; }

// `key`: -1 for none.
__device__ void WriteOneHot(const RaggedRow& row, int64_t key, float* out) {
  for (int64_t j = Lane(); j < row.keys; j += kWarp) out[row.pairs + j] = j == key ? 1.0f : 0.0f;
}

__global__ void ArgmaxKernel(RaggedTiles rows, const float* weights, float above, float* out) {
  RaggedRow row;
  if (!FindRow(rows, row)) return;
  const float* x = weights + row.pairs;
  float largest = -INFINITY;
  int best = row.keys;
  for (int j = Lane(); j < row.keys; j += kWarp) {
    if (!(x[j] > largest)) continue;
    largest = x[j];
    best = j;
  }
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    const float other = __shfl_xor_sync(kAllLanes, largest, distance);
    const int at = __shfl_xor_sync(kAllLanes, best, distance);
    if (other > largest || (other == largest && at < best)) {
      largest = other;
      best = at;
    }
  }
  // Nothing is above a NaN that comes first; behind it a NaN is passed over.
  const bool picks = largest > above && x[0] == x[0];
  WriteOneHot(row, picks ? best : -1, out);
}

// Number i of a stream, uniform in (0, 1): 24 bits, so that it is exact and never 0 or 1.
__device__ float UniformNumber(PhiloxKey key, int64_t i) {
  uint32_t words[4];
  PhiloxBlock(key, static_cast<uint64_t>(i) / 4, words);
  const uint32_t word = i % 4 == 0 ? words[0] : i % 4 == 1 ? words[1] : i % 4 == 2 ? words[2] : words[3];
  return (static_cast<float>(word >> 9) + 0.5f) * 0x1p-23f;
}

// The sum of the values of lanes 0 to this one.
__device__ double SumUpToLane(double value) {
  for (int distance = 1; distance < kWarp; distance *= 2) {
    const double before = __shfl_up_sync(kAllLanes, value, distance);
    if (Lane() >= distance) value += before;
  }
  return value;
}

// The first key at which the running sum of the weights exceeds a share of their total; never one without weight.
__global__ void SampleKernel(RaggedTiles rows, const float* weights, PhiloxKey key, float* out) {
  RaggedRow row;
  if (!FindRow(rows, row)) return;
  const float* x = weights + row.pairs;
  double total = 0.0;
  for (int64_t j = Lane(); j < row.keys; j += kWarp) total += x[j];
  total = WarpSum(total);
  const double wanted = UniformNumber(key, row.query) * total;
  double sum = 0.0;
  int64_t picked = -1;
  int64_t last = -1;  // of this lane's keys that have weight
  for (int64_t start = 0; start < row.keys; start += kWarp) {
    const int64_t j = start + Lane();
    const float weight = j < row.keys && x[j] > 0.0f ? x[j] : 0.0f;
    if (weight > 0.0f) last = j;
    const double upto = sum + SumUpToLane(weight);
    const unsigned reached = __ballot_sync(kAllLanes, weight > 0.0f && upto > wanted);
    if (reached) {
      picked = start + __ffs(static_cast<int>(reached)) - 1;
      break;
    }
    sum = __shfl_sync(kAllLanes, upto, kWarp - 1);
  }
  if (picked < 0) picked = WarpMaximum(last);  // where rounding keeps the sum below
  WriteOneHot(row, picked, out);
}

}  // namespace

void RaggedArgmax(const RaggedShape& shape, const float* weights, float above, float* out) {
  LaunchRows(shape, false, ArgmaxKernel, weights, above, out);
}

void RaggedSample(const RaggedShape& shape, const float* weights, PhiloxKey key, float* out) {
  LaunchRows(shape, false, SampleKernel, weights, key, out);
}

}  // namespace attnkit::cuda
