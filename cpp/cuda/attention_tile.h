// The two products of attention, of a tile of rows against a tile of 64 columns, by a block of 256 threads. Thread
// (ty, tx) of 16 x 16 has rows ty * kRows + i and columns tx * 4 + j: a row is one half of a warp's, which reduces it
// by shuffles. Every sum runs through its terms in order, whatever the tiles are: a row's bits do not depend on kRows.
#pragma once

#include <algorithm>
#include <cstdint>

#include "cuda/launch.h"

namespace attnkit::cuda {

constexpr int kTileThreads = 256, kTileSide = 16;
constexpr int kTileColumns = 4 * kTileSide;    // keys of a tile of scores, or queries of one that lies across
constexpr int kTileStride = kTileColumns + 4;  // from row to row: float4s stay aligned
constexpr int kTileDepth = 32;                 // of rows in shared memory at a time
constexpr int kTileStage = kTileDepth * 2 * kTileStride;  // numbers of shared memory that both products stream through

// Rows as they lie.
struct RowsView {
  const float* data;
  int64_t stride;
  int count;
};

// kWidth rows transposed, [kTileDepth, kWidth + 4], zeros where there are none. Lanes take eight numbers of four rows:
// whole sectors of memory, and each bank once.
template <int kWidth>
__device__ void StageTransposed(const RowsView& rows, int64_t first, int64_t depth, float* to) {
  const int d_lane = static_cast<int>(threadIdx.x) % 8, r_thread = static_cast<int>(threadIdx.x) / 8;
  for (int r = r_thread; r < kWidth; r += kTileThreads / 8) {
    const float* row = rows.data + r * rows.stride + first;
    for (int d = d_lane; d < kTileDepth; d += 8) {
      to[d * (kWidth + 4) + r] = r < rows.count && first + d < depth ? row[d] : 0.0f;
    }
  }
}

// out[i][j] = row ty * kRows + i of a · row tx * 4 + j of b.
template <int kRows>
__device__ void TileProducts(const RowsView& a, const RowsView& b, int64_t depth, float* stage,
                             float (&out)[kRows][4]) {
  constexpr int kWidth = kTileSide * kRows;
  const int tx = static_cast<int>(threadIdx.x) % kTileSide, ty = static_cast<int>(threadIdx.x) / kTileSide;
  float *a_stage = stage, *b_stage = stage + kTileDepth * (kWidth + 4);
  ATTNKIT_UNROLL
  for (int i = 0; i < kRows; ++i) out[i][0] = out[i][1] = out[i][2] = out[i][3] = 0.0f;
  for (int64_t first = 0; first < depth; first += kTileDepth) {
    __syncthreads();
    StageTransposed<kWidth>(a, first, depth, a_stage);
    StageTransposed<kTileColumns>(b, first, depth, b_stage);
    __syncthreads();
    const int count = static_cast<int>(std::min<int64_t>(kTileDepth, depth - first));
    for (int d = 0; d < count; ++d) {
      const float4 y = *reinterpret_cast<const float4*>(b_stage + d * kTileStride + tx * 4);
      ATTNKIT_UNROLL
      for (int i = 0; i < kRows; ++i) {
        const float x = a_stage[d * (kWidth + 4) + ty * kRows + i];
        out[i][0] = fmaf(x, y.x, out[i][0]);
        out[i][1] = fmaf(x, y.y, out[i][1]);
        out[i][2] = fmaf(x, y.z, out[i][2]);
        out[i][3] = fmaf(x, y.w, out[i][3]);
      }
    }
  }
}

// sums[i][4 * c + n] += tile [kRows * 16, kTileColumns] · rows, of column first + 64 * c + tx * 4 + n. A share of zero
// takes nothing of its row, whatever that holds. The tile is zero behind the rows' count.
template <int kRows, int kFours>
__device__ void AddTileProduct(const float* tile, const RowsView& rows, int64_t first, int64_t columns, float* stage,
                               float (&sums)[kRows][4 * kFours]) {
  constexpr int kWide = kTileColumns * kFours;
  const int tx = static_cast<int>(threadIdx.x) % kTileSide, ty = static_cast<int>(threadIdx.x) / kTileSide;
  for (int k0 = 0; k0 < rows.count; k0 += kTileDepth) {
    __syncthreads();
    const int left = rows.count - k0, count = left < kTileDepth ? left : kTileDepth;
    for (int at = static_cast<int>(threadIdx.x); at < kTileDepth * kWide; at += kTileThreads) {
      const int k = at / kWide, n = at % kWide;
      stage[at] = k < count && first + n < columns ? rows.data[(k0 + k) * rows.stride + first + n] : 0.0f;
    }
    __syncthreads();
    for (int k = 0; k < count; ++k) {
      float4 y[kFours];
      ATTNKIT_UNROLL
      for (int c = 0; c < kFours; ++c) {
        y[c] = *reinterpret_cast<const float4*>(stage + k * kWide + c * kTileColumns + tx * 4);
      }
      ATTNKIT_UNROLL
      for (int i = 0; i < kRows; ++i) {
        const float x = tile[(ty * kRows + i) * kTileStride + k0 + k];
        if (x == 0.0f) continue;
        ATTNKIT_UNROLL
        for (int c = 0; c < kFours; ++c) {
          sums[i][4 * c] = fmaf(x, y[c].x, sums[i][4 * c]);
          sums[i][4 * c + 1] = fmaf(x, y[c].y, sums[i][4 * c + 1]);
          sums[i][4 * c + 2] = fmaf(x, y[c].z, sums[i][4 * c + 2]);
          sums[i][4 * c + 3] = fmaf(x, y[c].w, sums[i][4 * c + 3]);
        }
      }
    }
  }
  __syncthreads();
}

// The numbers of a thread's row of sums, to a row of `columns` numbers.
template <int kFours>
__device__ void WriteRow(const float (&sums)[4 * kFours], float factor, int64_t first, int64_t columns, float* row) {
  const int tx = static_cast<int>(threadIdx.x) % kTileSide;
  ATTNKIT_UNROLL
  for (int c = 0; c < kFours; ++c) {
    ATTNKIT_UNROLL
    for (int n = 0; n < 4; ++n) {
      const int64_t column = first + c * kTileColumns + tx * 4 + n;
      if (column < columns) row[column] = sums[4 * c + n] * factor;
    }
  }
}

// Over the sixteen threads of a row.
__device__ inline float RowSum(float value) {
  for (int distance = kTileSide / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(kAllLanes, value, distance);
  return value;
}
__device__ inline float RowMaximum(float value) {  // of those that are not NaN
  for (int distance = kTileSide / 2; distance > 0; distance /= 2)
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, distance));
  return value;
}

// Calls run(rows of a thread, groups of 64 columns of a block): what few rows and narrow heads do not need is not made.
template <int kNumber>
struct Number {
  static constexpr int kValue = kNumber;
};
template <typename Run>
void WithTileShape(int64_t rows, int64_t columns, const Run& run) {
  if (rows <= kTileSide) {
    columns <= kTileColumns ? run(Number<1>(), Number<1>()) : run(Number<1>(), Number<2>());
  } else {
    columns <= kTileColumns ? run(Number<4>(), Number<1>()) : run(Number<4>(), Number<2>());
  }
}

}  // namespace attnkit::cuda
