// The output layer of decoding on CUDA: logits of some rows by the product, then a block for each row of them.
#include <cstring>
#include <vector>

#include "attnkit/check.h"
#include "attnkit/profile.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"
#include "cuda/warp.h"

namespace attnkit::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kLogitsBytes = 64 << 20;  // of the rows that are looked at together

struct Candidate {
  float value;
  int32_t index;  // -1: none
};

// Larger numbers first, ties to the lower index; -inf and NaN are nobody's best.
__device__ inline Candidate Better(Candidate a, Candidate b) {
  if (b.index < 0) return a;
  if (a.index < 0 || b.value > a.value) return b;
  return b.value == a.value && b.index < a.index ? b : a;
}

__device__ inline Candidate WarpBest(Candidate best) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) {
    Candidate other;
    other.value = __shfl_xor_sync(kAllLanes, best.value, distance);
    other.index = __shfl_xor_sync(kAllLanes, best.index, distance);
    best = Better(best, other);
  }
  return best;
}

// Of all threads of the block; each gets it. `room` is free again behind it.
__device__ inline Candidate BlockBest(Candidate best, Candidate* room) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  best = WarpBest(best);
  if (lane == 0) room[warp] = best;
  __syncthreads();
  best = WarpBest(lane < kThreads / kWarp ? room[lane] : Candidate{-INFINITY, -1});
  __syncthreads();
  return best;
}

__device__ inline Candidate Offered(const float* logits, int64_t column) {
  const float value = logits[column];
  return {value, value > -INFINITY ? static_cast<int32_t>(column) : -1};
}

// Everything of the device.
struct Rows {
  float* logits;
  int64_t columns, k, first;  // the first of the rows
  const int32_t *offsets, *ids;
  const uint8_t *excluded, *allowed;
  const int32_t* groups;
  float* values;
  int32_t* indices;
  float* asked_values;
};

// Each thread keeps the best of its own columns, every kThreads-th. The best of these is the row's; its thread's next
// best is then found by all, so that a round reads a part of a row alone.
__global__ void BestTokensKernel(Rows rows) {
  __shared__ float room[kWarp];
  __shared__ Candidate candidates[kWarp];
  const int64_t row = rows.first + blockIdx.x, columns = rows.columns;
  const int me = static_cast<int>(threadIdx.x);
  float* logits = rows.logits + blockIdx.x * columns;
  const uint8_t* allowed = rows.allowed ? rows.allowed + rows.groups[row] * columns : nullptr;

  float largest = -INFINITY;
  for (int64_t column = me; column < columns; column += kThreads) {
    if (allowed && !allowed[column]) logits[column] = -INFINITY;
    const float logit = logits[column];
    largest = logit > largest ? logit : largest;
  }
  largest = BlockMaximum(largest, room);
  // A row of -inf is shifted by nothing: -inf - -inf would be NaN.
  const float shift = largest == -INFINITY ? 0.0f : largest;
  float sum = 0.0f;
  for (int64_t column = me; column < columns; column += kThreads) sum += expf(logits[column] - shift);
  const float log_sum = logf(BlockSum(sum, room));

  const int32_t begin = rows.offsets[row], end = rows.offsets[row + 1];
  for (int32_t i = begin + me; i < end; i += kThreads) rows.asked_values[i] = logits[rows.ids[i]] - largest - log_sum;
  __syncthreads();
  for (int32_t i = begin + me; i < end; i += kThreads)
    if (rows.excluded[i]) logits[rows.ids[i]] = -INFINITY;
  __syncthreads();

  Candidate mine{-INFINITY, -1};
  for (int64_t column = me; column < columns; column += kThreads) mine = Better(mine, Offered(logits, column));
  for (int64_t place = 0; place < rows.k; ++place) {
    const Candidate best = BlockBest(mine, candidates);
    if (me == 0) {
      rows.values[row * rows.k + place] = (best.index < 0 ? -INFINITY : best.value) - largest - log_sum;
      rows.indices[row * rows.k + place] = best.index < 0 ? 0 : best.index;
      if (best.index >= 0) logits[best.index] = -INFINITY;
    }
    if (best.index < 0 || place + 1 == rows.k) continue;
    __syncthreads();
    const int owner = best.index % kThreads;
    Candidate next{-INFINITY, -1};
    for (int64_t column = owner + static_cast<int64_t>(me) * kThreads; column < columns; column += kThreads * kThreads)
      next = Better(next, Offered(logits, column));
    next = BlockBest(next, candidates);
    if (me == owner) mine = next;
  }
}

}  // namespace

void BestTokens(const float* hidden, int64_t rows, const kernels::PackedMatrix& weight, const float* bias, int64_t k,
                const kernels::AskedTokens& asked, const kernels::AllowedTokens& allowed, float* values,
                int32_t* indices, float* asked_values) {
  const int64_t columns = weight.n;
  ATTNKIT_CHECK(k >= 1 && k <= columns, "[best_tokens] expected k in [1, ", columns, "], got ", k);
  if (rows == 0) return;
  CountArithmetic(2.0 * rows * weight.n * weight.k, static_cast<int>(weight.precision));
  const int64_t asked_count = asked.offsets[rows];
  int64_t groups = 0;
  for (int64_t r = 0; allowed.allowed && r < rows; ++r) groups = std::max<int64_t>(groups, allowed.groups[r] + 1);
  const Uploaded<int32_t> offsets(asked.offsets, rows + 1), ids(asked.ids, asked_count);
  const Uploaded<uint8_t> excluded(asked.excluded, asked_count), writable(allowed.allowed, groups * columns);
  const Uploaded<int32_t> groups_of(allowed.allowed ? allowed.groups : nullptr, rows);

  // Results lie side by side, so that they come back at once.
  static_assert(sizeof(int32_t) == sizeof(float));
  const int64_t best = rows * k;
  const Scratch<float> results(2 * best + asked_count);
  const int64_t together = std::clamp<int64_t>(kLogitsBytes / (columns * 4), 1, rows);
  const Scratch<float> logits(together * columns);
  Rows call{logits.data(),
            columns,
            k,
            0,
            offsets.data(),
            ids.data(),
            excluded.data(),
            writable.data(),
            groups_of.data(),
            results.data(),
            reinterpret_cast<int32_t*>(results.data() + best),
            results.data() + 2 * best};
  kernels::Epilogue epilogue;
  epilogue.bias = bias;
  for (call.first = 0; call.first < rows; call.first += together) {
    const int64_t count = std::min(together, rows - call.first);
    cuda::Gemm(hidden + call.first * weight.k, weight.k, 1, count, weight, logits.data(), columns, epilogue);
    Launch({dim3(static_cast<unsigned>(count)), dim3(kThreads)}, BestTokensKernel, call);
  }
  std::vector<float> host(2 * best + asked_count);
  CopyToHost(results.data(), host.size() * sizeof(float), host.data());
  std::memcpy(values, host.data(), best * sizeof(float));
  std::memcpy(indices, host.data() + best, best * sizeof(int32_t));
  if (asked_count) std::memcpy(asked_values, host.data() + 2 * best, asked_count * sizeof(float));
}

}  // namespace attnkit::cuda
