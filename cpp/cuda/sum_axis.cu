// SumAxis of attnkit/kernels/reduce.h on CUDA.
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"

namespace attnkit::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kChunk = 256;  // of the length, that a block sums

// How a block's threads lie over the array: neighbours over `inner`, then over the length, then over `outer`; all are
// powers of two. It follows from length and inner alone, so that what lies beside a sum does not change it.
struct BlockShape {
  int columns, lines, outers;
};

int PowerAtLeast(int64_t size, int most) {
  int power = 1;
  while (power < most && power < size) power *= 2;
  return power;
}

BlockShape ShapeFor(int64_t length, int64_t inner) {
  BlockShape shape;
  shape.columns = PowerAtLeast(inner, kWarp);
  shape.lines = PowerAtLeast(length, kThreads / shape.columns);
  shape.outers = kThreads / shape.columns / shape.lines;
  return shape;
}

// In double, as the CPU's sums of rows: memory is what this waits for. out [outer, chunks, inner].
template <typename In, typename Out>
__global__ void SumAxisKernel(const In* x, int64_t outer, int64_t length, int64_t inner, BlockShape shape,
                              int64_t column_blocks, int64_t chunks, int64_t blocks, Out* out) {
  __shared__ double sums[kThreads];
  const int thread = static_cast<int>(threadIdx.x), line = thread / shape.columns % shape.lines;
  const int above = thread / shape.columns / shape.lines;
  for (int64_t block = blockIdx.x; block < blocks; block += gridDim.x) {
    const int64_t i = block % column_blocks * shape.columns + thread % shape.columns;
    const int64_t chunk = block / column_blocks % chunks;
    const int64_t o = block / column_blocks / chunks * shape.outers + above;
    const bool within = i < inner && o < outer;
    double sum = 0.0;
    if (within) {
      const int64_t end = (chunk + 1) * kChunk < length ? (chunk + 1) * kChunk : length;
      const In* column = x + o * length * inner + i;
      for (int64_t l = chunk * kChunk + line; l < end; l += shape.lines) sum += static_cast<double>(column[l * inner]);
    }
    sums[thread] = sum;
    for (int half = shape.lines / 2; half > 0; half /= 2) {
      __syncthreads();
      if (line < half) sums[thread] += sums[thread + half * shape.columns];
    }
    if (within && line == 0) out[(o * chunks + chunk) * inner + i] = static_cast<Out>(sums[thread]);
    __syncthreads();
  }
}

template <typename In, typename Out>
void SumChunks(const In* x, int64_t outer, int64_t length, int64_t inner, int64_t chunks, Out* out) {
  const BlockShape shape = ShapeFor(length, inner);
  const int64_t column_blocks = Blocks(inner, shape.columns);
  const int64_t blocks = column_blocks * chunks * Blocks(outer, shape.outers);
  Launch({dim3(static_cast<unsigned>(blocks < (1 << 24) ? blocks : 1 << 24)), dim3(kThreads)}, SumAxisKernel<In, Out>,
         x, outer, length, inner, shape, column_blocks, chunks, blocks, out);
}

int64_t ChunksOf(int64_t length) { return (length + kChunk - 1) / kChunk; }

// Sums of chunks, then sums of these.
template <typename In>
void SumAll(const In* x, int64_t outer, int64_t length, int64_t inner, float* out) {
  const int64_t chunks = ChunksOf(length);
  if (chunks <= 1) return SumChunks(x, outer, length, inner, 1, out);
  const Scratch<double> parts(outer * chunks * inner);
  SumChunks(x, outer, length, inner, chunks, parts.data());
  SumAll<double>(parts.data(), outer, chunks, inner, out);
}
}  // namespace

void SumAxis(const float* x, int64_t outer, int64_t length, int64_t inner, float* out) {
  SumAll(x, outer, length, inner, out);
}

}  // namespace attnkit::cuda
