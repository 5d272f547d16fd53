// Sums over the rows of each column, in one order: tiles of 32 columns, of which a warp reads whole lines; the warps of
// a block share the rows of a chunk, and chunks are joined by a second kernel. The cut follows from the shape alone.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cuda/launch.h"
#include "cuda/scratch.h"

namespace attnkit::cuda {

constexpr int kColumnWarps = 8;

struct ColumnCut {
  int64_t rows, columns, chunk, chunks, tiles;  // chunk: rows of one

  // A chunk has whole turns of the block.
  ColumnCut(int64_t rows, int64_t columns, int64_t turn) : rows(rows), columns(columns) {
    constexpr int64_t kWantedBlocks = 1024;
    tiles = (columns + kWarp - 1) / kWarp;
    const int64_t wanted = std::max<int64_t>(1, kWantedBlocks / std::max<int64_t>(1, tiles));
    const int64_t turns = (rows + turn - 1) / turn;
    chunk = std::max<int64_t>(1, (turns + wanted - 1) / wanted) * turn;
    chunks = (rows + chunk - 1) / chunk;
  }

  LaunchShape parts() const { return {dim3(static_cast<unsigned>(tiles * chunks)), dim3(kColumnWarps * kWarp)}; }
  LaunchShape joins() const { return {dim3(static_cast<unsigned>(tiles)), dim3(kColumnWarps * kWarp)}; }
};

// The sum of what the warps of a block have for their lane's column, in the order of the warps; good in warp 0.
// `room`: shared memory of kColumnWarps * kWarp values, free again behind the barrier that ends this.
template <typename T>
__device__ T SumOfWarps(T value, T* room) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  room[threadIdx.x] = value;
  __syncthreads();
  T sum = T(0);
  if (warp == 0)
    for (int w = 0; w < kColumnWarps; ++w) sum += room[w * kWarp + lane];
  __syncthreads();
  return sum;
}

// parts [chunks, kSums, columns]: add(row, column, sums) adds what a number of a column gives to its sums.
template <int kSums, typename Add>
__global__ void PartColumnsKernel(ColumnCut cut, Add add, float* parts) {
  __shared__ float room[kColumnWarps * kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const int64_t chunk = blockIdx.x / cut.tiles, column = blockIdx.x % cut.tiles * kWarp + lane;
  const int64_t end = (chunk + 1) * cut.chunk < cut.rows ? (chunk + 1) * cut.chunk : cut.rows;
  float sums[kSums] = {};
  if (column < cut.columns) {
    for (int64_t row = chunk * cut.chunk + warp; row < end; row += kColumnWarps) add(row, column, sums);
  }
  for (int s = 0; s < kSums; ++s) {
    const float sum = SumOfWarps(sums[s], room);
    if (warp == 0 && column < cut.columns) parts[(chunk * kSums + s) * cut.columns + column] = sum;
  }
}

// write(column, sums) for each column.
template <int kSums, typename Write>
__global__ void JoinColumnsKernel(ColumnCut cut, const float* parts, Write write) {
  __shared__ double room[kColumnWarps * kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kWarp + lane;
  double sums[kSums] = {};
  if (column < cut.columns) {
    for (int64_t chunk = warp; chunk < cut.chunks; chunk += kColumnWarps)
      for (int s = 0; s < kSums; ++s) sums[s] += parts[(chunk * kSums + s) * cut.columns + column];
  }
  for (int s = 0; s < kSums; ++s) sums[s] = SumOfWarps(sums[s], room);
  if (warp == 0 && column < cut.columns) write(column, sums);
}

template <int kSums, typename Add, typename Write>
void SumColumns(int64_t rows, int64_t columns, const Add& add, const Write& write) {
  constexpr int64_t kTurn = 4 * kColumnWarps;
  const ColumnCut cut(rows, columns, kTurn);
  const Scratch<float> parts(cut.chunks * kSums * columns);
  Launch(cut.parts(), PartColumnsKernel<kSums, Add>, cut, add, parts.data());
  Launch(cut.joins(), JoinColumnsKernel<kSums, Write>, cut, parts.data(), write);
}

}  // namespace attnkit::cuda
