// Sums over the rows of a matrix that may be computed as it is read, in an order that its shape alone decides.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cuda/launch.h"
#include "cuda/scratch.h"

namespace attnkit::cuda {

constexpr int kColumnWarps = 8;  // of a block, whose warps take turns at the rows of 32 columns

// A chunk of `grain` rows of 32 columns a block: store(chunk, c, sum over the chunk's rows r of term(r, c)).
template <typename Term, typename Store>
__global__ void ColumnSumsKernel(int64_t rows, int64_t columns, int64_t grain, Term term, Store store) {
  __shared__ float sums[kColumnWarps][kWarp];
  const int64_t tiles = (columns + kWarp - 1) / kWarp, tile = blockIdx.x % tiles, chunk = blockIdx.x / tiles;
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const int64_t c = tile * kWarp + lane, end = chunk * grain + grain < rows ? chunk * grain + grain : rows;
  float sum = 0.0f;
  if (c < columns) {
    for (int64_t r = chunk * grain + warp; r < end; r += kColumnWarps) sum += term(r, c);
  }
  sums[warp][lane] = sum;
  __syncthreads();
  if (warp == 0 && c < columns) {
    for (int w = 1; w < kColumnWarps; ++w) sum += sums[w][lane];
    store(chunk, c, sum);
  }
}

struct StoredTerm {
  const float* x;
  int64_t row_stride;
  __device__ float operator()(int64_t r, int64_t c) const { return x[r * row_stride + c]; }
};
struct StorePartial {
  float* partials;
  int64_t columns;
  __device__ void operator()(int64_t chunk, int64_t c, float sum) const { partials[chunk * columns + c] = sum; }
};

// store(0, c, sum over the rows r of term(r, c)).
template <typename Term, typename Store>
void SumColumns(int64_t rows, int64_t columns, Term term, Store store) {
  constexpr int64_t kLeastRows = 64, kBlocks = 1024;
  const int64_t tiles = (columns + kWarp - 1) / kWarp;
  if (tiles == 0) return;
  const dim3 block(kColumnWarps * kWarp);
  const int64_t most = std::max<int64_t>(1, std::min(kBlocks / tiles, (rows + kLeastRows - 1) / kLeastRows));
  const int64_t grain = std::max<int64_t>(1, (rows + most - 1) / most), chunks = (rows + grain - 1) / grain;
  if (chunks <= 1) {
    return Launch({dim3(static_cast<unsigned>(tiles)), block}, ColumnSumsKernel<Term, Store>, rows, columns, grain,
                  term, store);
  }
  const Scratch<float> partials(chunks * columns);
  Launch({dim3(static_cast<unsigned>(tiles * chunks)), block}, ColumnSumsKernel<Term, StorePartial>, rows, columns,
         grain, term, StorePartial{partials.data(), columns});
  Launch({dim3(static_cast<unsigned>(tiles)), block}, ColumnSumsKernel<StoredTerm, Store>, chunks, columns, chunks,
         StoredTerm{partials.data(), columns}, store);
}

}  // namespace attnkit::cuda
