// attnkit/kernels/reduce.h on CUDA.
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"
#include "cuda/warp.h"

namespace attnkit::cuda {
namespace {

// A number a block for the part of it; the host adds them in order.
constexpr int kThreads = 256, kBlocks = 256;

template <typename Term>
__global__ void SumKernel(int64_t size, Term term, double* sums) {
  __shared__ double room[kWarp];
  double sum = 0.0;
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < size; i += step) sum += term(i);
  sum = BlockSum(sum, room);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

template <typename Term>
double SumOf(int64_t size, Term term) {
  const int blocks = static_cast<int>(std::min<int64_t>(kBlocks, Blocks(size, kThreads)));
  if (blocks == 0) return 0.0;
  const Scratch<double> sums(blocks);
  Launch({dim3(blocks), dim3(kThreads)}, SumKernel<Term>, size, term, sums.data());
  double parts[kBlocks], sum = 0.0;
  CopyToHost(sums.data(), blocks * sizeof(double), parts);
  for (int i = 0; i < blocks; ++i) sum += parts[i];
  return sum;
}

struct Plain {
  const float* x;
  __device__ double operator()(int64_t i) const { return x[i]; }
};
}  // namespace

double Sum(const float* x, int64_t size) { return SumOf(size, Plain{x}); }

}  // namespace attnkit::cuda
