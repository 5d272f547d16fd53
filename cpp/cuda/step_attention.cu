// Attention of a step of decoding (attnkit/kernels/decoding.h) on CUDA: a block for each row and head, through which
// the keys pass in pieces; the softmax runs along (Milakov & Gimelshein, "Online normalizer calculation for softmax",
// 2018).
#include <vector>

#include "attnkit/profile.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"
#include "cuda/warp.h"

namespace attnkit::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / kWarp;
constexpr int kPiece = 256;  // keys

// Where the keys of a row are, `size` numbers each.
struct CachedPlaces {
  const float* const* blocks;
  const int32_t* places;
  int64_t places_row, count, size;

  __device__ int64_t Count(int64_t) const { return count; }
  __device__ const float* At(int64_t row, int64_t j) const { return blocks[j] + places[row * places_row + j] * size; }
};

struct SharedPlaces {
  const float* data;
  const int32_t* ranges;  // first key of each row and the key behind its last
  int64_t size;

  __device__ int64_t Count(int64_t row) const { return ranges[2 * row + 1] - ranges[2 * row]; }
  __device__ const float* At(int64_t row, int64_t j) const { return data + (ranges[2 * row] + j) * size; }
};

__device__ float FiniteShift(float maximum) { return maximum == -INFINITY ? 0.0f : maximum; }

// Where the weights of a row and head go, null where nowhere.
__device__ float* WeightsOf(const kernels::StepAttention& a, float* of_heads, int64_t row, int64_t h) {
  if (!a.weights) return nullptr;
  if (a.weights_head == kernels::kMeanOfHeads) return of_heads + (row * a.heads + h) * a.weights_row;
  return h == a.weights_head ? a.weights + row * a.weights_row : nullptr;
}

// blockIdx.x: row and head; y: kColumns columns of the output, each of which makes the scores anew. The threads of a
// column each take every (kThreads / kColumns)th key.
template <int kColumns, typename Places>
__global__ void __launch_bounds__(kThreads) StepKernel(kernels::StepAttention a, Places places, float* of_heads) {
  constexpr int kGroups = kThreads / kColumns, kAtOnce = 4;
  __shared__ float scores[kPiece], room[kWarp], sums[kThreads];
  __shared__ const float* at[kPiece];
  const int thread = static_cast<int>(threadIdx.x), lane = thread % kWarp, warp = thread / kWarp;
  const int group = thread / kColumns;
  const int64_t row = blockIdx.x / a.heads, h = blockIdx.x % a.heads, width = a.heads * a.d_head;
  const int64_t column = static_cast<int64_t>(blockIdx.y) * kColumns + thread % kColumns;
  const float* query = a.query + row * a.query_row + h * a.d_head;
  const int64_t count = places.Count(row);
  float* weights = blockIdx.y == 0 ? WeightsOf(a, of_heads, row, h) : nullptr;

  float maximum = -INFINITY, sum = 0.0f, output = 0.0f;
  for (int64_t first = 0; first < count; first += kPiece) {
    const int keys = static_cast<int>(count - first < kPiece ? count - first : kPiece);
    if (thread < keys) at[thread] = places.At(row, first + thread) + h * a.d_head;
    __syncthreads();
    // A warp makes the scores of a few keys at once: their sums do not wait for each other.
    for (int j0 = warp * kAtOnce; j0 < keys; j0 += kWarps * kAtOnce) {
      float products[kAtOnce] = {};
      for (int64_t d = lane; d < a.d_head; d += kWarp) {
        const float q = query[d];
        for (int j = 0; j < kAtOnce; ++j) {
          if (j0 + j < keys) products[j] = fmaf(q, at[j0 + j][d], products[j]);
        }
      }
      for (int j = 0; j < kAtOnce; ++j) {
        float score = __fmul_rn(WarpSum(products[j]), a.scale);
        if (lane != 0 || j0 + j >= keys) continue;
        if (a.bias) {
          const float added = a.bias[h * a.bias_row + first + j0 + j];
          score = added == -INFINITY ? -INFINITY : __fadd_rn(score, added);
        }
        scores[j0 + j] = score;
      }
    }
    __syncthreads();
    const float score = thread < keys ? scores[thread] : -INFINITY;
    if (weights && thread < keys) weights[first + thread] = score;
    const float largest = fmaxf(maximum, BlockMaximum(score == score ? score : -INFINITY, room));
    const float shift = FiniteShift(largest), rescale = expf(maximum - shift), p = expf(score - shift);
    maximum = largest;
    if (thread < keys) scores[thread] = p;  // whose it was
    sum = fmaf(sum, rescale, BlockSum(p, room));
    output *= rescale;
    if (column < a.d_head) {
      for (int j = group; j < keys; j += kGroups) {
        if (scores[j] != 0.0f) output = fmaf(scores[j], at[j][width + column], output);
      }
    }
    __syncthreads();
  }

  const float share = sum == 0.0f ? 0.0f : 1.0f / sum, shift = FiniteShift(maximum);
  sums[thread] = output;
  __syncthreads();
  if (thread < kColumns && column < a.d_head) {
    for (int g = 1; g < kGroups; ++g) output += sums[g * kColumns + thread];
    a.output[row * width + h * a.d_head + column] = output * share;
  }
  if (!weights) return;
  // Each thread finds the scores that it wrote itself.
  for (int64_t j = thread; j < a.weights_row; j += kThreads) {
    weights[j] = j < count ? expf(weights[j] - shift) * share : 0.0f;
  }
}

struct MeanOfHeadsBody {
  kernels::StepAttention a;
  const float* of_heads;

  __device__ void operator()(int64_t i) const {
    const float* from = of_heads + i / a.weights_row * a.heads * a.weights_row + i % a.weights_row;
    float sum = 0.0f;
    for (int64_t h = 0; h < a.heads; ++h) sum += from[h * a.weights_row];
    a.weights[i] = sum * (1.0f / static_cast<float>(a.heads));
  }
};

template <int kColumns, typename Places>
void LaunchStep(const kernels::StepAttention& a, const Places& places, float* of_heads) {
  const unsigned groups = std::max(1u, Blocks(a.d_head, kColumns));
  Launch({dim3(static_cast<unsigned>(a.rows * a.heads), groups), dim3(kThreads)}, StepKernel<kColumns, Places>, a,
         places, of_heads);
}

template <typename Places>
void Attend(const kernels::StepAttention& a, const Places& places) {
  const bool mean = a.weights && a.weights_head == kernels::kMeanOfHeads;
  const Scratch<float> of_heads(mean ? a.rows * a.heads * a.weights_row : 0);
  if (a.d_head <= 32) {
    LaunchStep<32>(a, places, of_heads.data());
  } else if (a.d_head <= 64) {
    LaunchStep<64>(a, places, of_heads.data());
  } else {
    LaunchStep<128>(a, places, of_heads.data());
  }
  if (mean) ForEach(a.rows * a.weights_row, MeanOfHeadsBody{a, of_heads.data()});
}

}  // namespace

void AttendToCache(const kernels::StepAttention& a, const kernels::CachedKeys& keys) {
  if (a.rows == 0) return;
  CountArithmetic(4.0 * a.rows * keys.count * a.heads * a.d_head, 0);
  const Uploaded<const float*> blocks(keys.blocks, keys.count);
  const Uploaded<int32_t> places(keys.places, (a.rows - 1) * keys.places_row + keys.count);
  Attend(a, CachedPlaces{blocks.data(), places.data(), keys.places_row, keys.count, 2 * a.heads * a.d_head});
}

void AttendToMemory(const kernels::StepAttention& a, const kernels::SharedKeys& keys) {
  if (a.rows == 0) return;
  std::vector<int32_t> ranges(2 * a.rows);
  double pairs = 0;
  for (int64_t r = 0; r < a.rows; ++r) {
    ranges[2 * r] = keys.offsets[keys.source_of[r]];
    ranges[2 * r + 1] = keys.offsets[keys.source_of[r] + 1];
    pairs += ranges[2 * r + 1] - ranges[2 * r];
  }
  CountArithmetic(4.0 * pairs * a.heads * a.d_head, 0);
  const Uploaded<int32_t> uploaded(ranges.data(), static_cast<int64_t>(ranges.size()));
  Attend(a, SharedPlaces{keys.data, uploaded.data(), 2 * a.heads * a.d_head});
}

}  // namespace attnkit::cuda
