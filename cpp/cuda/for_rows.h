// Rows side by side: a block takes some columns of one row, or several short rows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>

#include "cuda/launch.h"

namespace attnkit::cuda {

// The threads of a row are 2^of_a_row: no division says which row and column a thread has.
template <typename Body>
__global__ void ForRowsKernel(int64_t rows, int64_t columns, int of_a_row, Body body) {
  const int64_t thread = threadIdx.x, row_step = static_cast<int64_t>(gridDim.x) * (blockDim.x >> of_a_row);
  const int64_t column_step = static_cast<int64_t>(gridDim.y) << of_a_row;
  const int64_t column = (static_cast<int64_t>(blockIdx.y) << of_a_row) + (thread & ((1 << of_a_row) - 1));
  for (int64_t r = static_cast<int64_t>(blockIdx.x) * (blockDim.x >> of_a_row) + (thread >> of_a_row); r < rows;
       r += row_step) {
    for (int64_t c = column; c < columns; c += column_step) body(r, c);
  }
}

// body(r, c) for every row of [0, rows) and column of [0, columns), in no order.
template <typename Body>
void ForRows(int64_t rows, int64_t columns, Body body) {
  constexpr int kMostOfARow = 8;                       // 256 threads
  constexpr int64_t kMostRows = 1 << 24;               // of the grid
  constexpr int64_t kEach = 4, kMostPieces = 1 << 15;  // columns that a thread takes, pieces of a row
  if (rows == 0 || columns == 0) return;
  int of_a_row = 0;
  while (of_a_row < kMostOfARow && (int64_t{1} << of_a_row) < columns) ++of_a_row;
  const int64_t threads = int64_t{1} << kMostOfARow;
  const int64_t blocks = Blocks(rows, threads >> of_a_row), pieces = Blocks(columns, kEach << of_a_row);
  Launch(
      {dim3(static_cast<unsigned>(std::min(kMostRows, blocks)), static_cast<unsigned>(std::min(kMostPieces, pieces))),
       dim3(static_cast<unsigned>(threads))},
      ForRowsKernel<Body>, rows, columns, of_a_row, body);
}

// Whether rows of `bytes` bytes, and these arrays, consist of whole pieces of 16 bytes.
inline bool ByPieces(int64_t bytes, std::initializer_list<const void*> arrays) {
  bool whole = bytes % static_cast<int64_t>(sizeof(float4)) == 0;
  for (const void* array : arrays) whole = whole && reinterpret_cast<uintptr_t>(array) % sizeof(float4) == 0;
  return whole;
}

}  // namespace attnkit::cuda
