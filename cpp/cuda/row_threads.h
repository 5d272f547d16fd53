// Which threads share a row of a matrix: a warp a short one, a block a long one. By the columns alone, so that a row's
// result does not depend on how many there are.
#pragma once

#include <cstdint>

#include "cuda/dropout.h"
#include "cuda/launch.h"
#include "cuda/warp.h"

namespace attnkit::cuda {

constexpr int kRowThreads = 256;  // of a block

// All threads of a row come to Sum, Maximum and Sync; each gets the result, and sees what the others wrote before.
struct WarpOfRow {
  static constexpr int kThreads = kWarp, kRows = kRowThreads / kWarp;  // of a row, of a block

  __device__ WarpOfRow() {}
  __device__ int64_t row() const { return static_cast<int64_t>(blockIdx.x) * kRows + threadIdx.x / kWarp; }
  __device__ int thread() const { return static_cast<int>(threadIdx.x) % kWarp; }
  // A shuffle orders no memory.
  __device__ float Sum(float value) {
    Sync();
    return WarpSum(value);
  }
  __device__ float Maximum(float value) {
    Sync();
    return WarpMaximum(value);
  }
  __device__ void Sync() { __syncwarp(); }
};

struct BlockOfRow {
  static constexpr int kThreads = kRowThreads, kRows = 1;

  __device__ BlockOfRow() {
    __shared__ float room[kWarp];
    room_ = room;
  }
  __device__ int64_t row() const { return blockIdx.x; }
  __device__ int thread() const { return static_cast<int>(threadIdx.x); }
  __device__ float Sum(float value) { return BlockSum(value, room_); }
  __device__ float Maximum(float value) { return BlockMaximum(value, room_); }
  __device__ void Sync() { __syncthreads(); }

 private:
  float* room_;
};

template <typename Threads, typename Body>
__global__ void ForEachRowKernel(int64_t rows, Body body) {
  Threads threads;
  if (threads.row() < rows) body(threads, threads.row());  // all threads of a row alike
}

// body(threads, r) for every row r, by all threads of the row.
template <typename Body>
void ForEachRow(int64_t rows, int64_t columns, Body body) {
  constexpr int64_t kMostOfWarp = 1024;
  if (columns <= kMostOfWarp) {
    Launch({dim3(Blocks(rows, WarpOfRow::kRows)), dim3(kRowThreads)}, ForEachRowKernel<WarpOfRow, Body>, rows, body);
  } else {
    Launch({dim3(Blocks(rows, BlockOfRow::kRows)), dim3(kRowThreads)}, ForEachRowKernel<BlockOfRow, Body>, rows, body);
  }
}

// body(c, factor) for every column of a row that starts at element `first` of the matrix, with what dropout multiplies
// it by. With dropout a thread takes eight neighbours, which share a block of Philox: others than without.
template <typename Threads, typename Body>
__device__ void ForDropoutColumns(const Threads& threads, const DropoutRule& rule, int64_t first, int64_t columns,
                                  Body& body) {
  if (!rule.active()) {
    for (int64_t c = threads.thread(); c < columns; c += Threads::kThreads) body(c, 1.0f);
    return;
  }
  for (int64_t block = first / 8 + threads.thread(); block * 8 < first + columns; block += Threads::kThreads) {
    float factors[8];
    rule.Factors(static_cast<uint64_t>(block), factors);
    for (int i = 0; i < 8; ++i) {
      const int64_t c = block * 8 + i - first;
      if (c >= 0 && c < columns) body(c, factors[i]);
    }
  }
}

}  // namespace attnkit::cuda
