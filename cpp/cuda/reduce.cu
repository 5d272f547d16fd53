// Sums over a whole array of attnkit/kernels/reduce.h on CUDA; sum_axis.cu has those along an axis.
#include <algorithm>

#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/quads.h"
#include "cuda/scratch.h"
#include "cuda/warp.h"

namespace attnkit::cuda {
namespace {

// A number a block for the part of it, added in order: which numbers a thread adds depends on the size alone.
constexpr int kThreads = 256, kMostBlocks = 512;

struct Plain {
  using Total = double;
  __device__ double operator()(float x) const { return x; }
};
struct Squared {
  using Total = double;
  __device__ double operator()(float x) const { return static_cast<double>(x) * x; }
};
struct NotFinite {
  using Total = int64_t;
  __device__ int64_t operator()(float x) const { return !(fabsf(x) <= 3.402823466e38f); }
};
struct NotANumber {
  using Total = int64_t;
  __device__ int64_t operator()(float x) const { return x != x; }
};

template <typename Term>
__global__ void PartsKernel(const float* x, Quads quads, int64_t count, Term term, typename Term::Total* parts) {
  using Total = typename Term::Total;
  __shared__ Total room[kWarp];
  Total sum[4] = {0, 0, 0, 0};
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t quad = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; quad < count; quad += step) {
    float v[4];
    quads.Load(x, quad, v);  // 0 behind the end, which no sum counts
    for (int j = 0; j < 4; ++j) sum[j] += term(v[j]);
  }
  const Total all = BlockSum((sum[0] + sum[1]) + (sum[2] + sum[3]), room);
  if (threadIdx.x == 0) parts[blockIdx.x] = all;
}

int PartsOf(int64_t size) { return static_cast<int>(std::min<int64_t>(kMostBlocks, Blocks(size, 4 * kThreads))); }

template <typename Term>
void MakeParts(const float* x, int64_t size, Term term, typename Term::Total* parts) {
  const Quads quads(size, {x});
  Launch({dim3(PartsOf(size)), dim3(kThreads)}, PartsKernel<Term>, x, quads, quads.count(), term, parts);
}

// Waits for it.
template <typename Term>
typename Term::Total SumOf(const float* x, int64_t size, Term term) {
  using Total = typename Term::Total;
  const int count = PartsOf(size);
  if (count == 0) return 0;
  const Scratch<Total> parts(count);
  MakeParts(x, size, term, parts.data());
  Total host[kMostBlocks], sum = 0;
  CopyToHost(parts.data(), count * sizeof(Total), host);
  for (int i = 0; i < count; ++i) sum += host[i];
  return sum;
}

__global__ void FinishKernel(const double* parts, int count, float scale, float* out) {
  __shared__ double room[kWarp];
  double sum = 0.0;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) sum += parts[i];
  sum = BlockSum(sum, room);
  if (threadIdx.x == 0) *out = static_cast<float>(sum * static_cast<double>(scale));
}
}  // namespace

double Sum(const float* x, int64_t size) { return SumOf(x, size, Plain()); }

double SumOfSquares(const float* x, int64_t size) { return SumOf(x, size, Squared()); }

bool AllFinite(const float* x, int64_t size) { return SumOf(x, size, NotFinite()) == 0; }

int64_t CountNan(const float* x, int64_t size) { return SumOf(x, size, NotANumber()); }

void SumTo(const float* x, int64_t size, float scale, float* out) {
  const int count = PartsOf(size);
  const Scratch<double> parts(count);
  MakeParts(x, size, Plain(), parts.data());
  Launch({dim3(1), dim3(kThreads)}, FinishKernel, parts.data(), count, scale, out);
}

}  // namespace attnkit::cuda
