// Tiles of a product by tensor cores, through shared memory: A and B rounded to bf16, sums in float32.
#pragma once

#include <cstdint>

#include "cuda/bfloat16.h"
#include "cuda/product.h"
#include "cuda/tensor_cores.h"

namespace attnkit::cuda {

// A matrix as vectors that are multiplied: the rows of A, the columns of B. `aligned`: eight neighbours are read at
// once.
template <typename Number>
struct Vectors {
  const Number* data;
  int64_t stride, depth_stride, batch_step, count;
  bool aligned;
};

// Eight neighbours on their way to shared memory.
struct EightFloats {
  float4 low, high;
  __device__ void Load(const float* from) {
    low = reinterpret_cast<const float4*>(from)[0], high = reinterpret_cast<const float4*>(from)[1];
  }
  // The first `count`, zeros behind them.
  __device__ void Load(const float* from, int64_t stride, int64_t count) {
    const auto at = [&](int i) { return i < count ? from[i * stride] : 0.0f; };
    low = float4{at(0), at(1), at(2), at(3)}, high = float4{at(4), at(5), at(6), at(7)};
  }
  __device__ uint4 Rounded() const {
    return uint4{RoundedPair(low.x, low.y), RoundedPair(low.z, low.w), RoundedPair(high.x, high.y),
                 RoundedPair(high.z, high.w)};
  }
};
struct EightBFloat16s {
  uint4 bits;
  __device__ void Load(const uint16_t* from) { bits = *reinterpret_cast<const uint4*>(from); }
  __device__ void Load(const uint16_t* from, int64_t stride, int64_t count) {
    const auto pair = [&](int i) {
      const unsigned low = i < count ? from[i * stride] : 0u, high = i + 1 < count ? from[(i + 1) * stride] : 0u;
      return low | high << 16;
    };
    bits = uint4{pair(0), pair(2), pair(4), pair(6)};
  }
  __device__ uint4 Rounded() const { return bits; }
};
__device__ inline EightFloats EightOf(const float*) { return {}; }
__device__ inline EightBFloat16s EightOf(const uint16_t*) { return {}; }

// A part of kVectors vectors by kDepth of depth on its way to shared memory, through registers, so that the next part
// comes while this one is multiplied. It lies there as it does in the matrix, along the depth or across, eight numbers
// farther from row to row than it is wide: so the eight rows that a fragment reads at once lie in different banks.
template <typename Number, bool kAlongDepth, int kVectors, int kDepth>
struct TensorPart {
  static constexpr int kInner = kAlongDepth ? kDepth : kVectors, kOuter = kAlongDepth ? kVectors : kDepth;
  static constexpr int kStride = kInner + 8, kSize = kOuter * kStride, kEights = kInner / 8;
  static constexpr int kEach = kOuter * kEights / kProductThreads;
  static_assert(kEach * kProductThreads == kOuter * kEights && kInner % 16 == 0);
  decltype(EightOf(static_cast<const Number*>(nullptr))) held[kEach];

  __device__ void Fetch(const Vectors<Number>& from, int64_t first, int64_t first_d, int64_t depth) {
    ATTNKIT_UNROLL
    for (int i = 0; i < kEach; ++i) {
      const int at = static_cast<int>(threadIdx.x) + i * kProductThreads;
      const int64_t outer = (kAlongDepth ? first : first_d) + at / kEights;
      const int64_t inner = (kAlongDepth ? first_d : first) + at % kEights * 8;
      const int64_t outer_stride = kAlongDepth ? from.stride : from.depth_stride;
      const int64_t inner_stride = kAlongDepth ? from.depth_stride : from.stride;
      const int64_t left = outer < (kAlongDepth ? from.count : depth) ? (kAlongDepth ? depth : from.count) - inner : 0;
      const Number* data = from.data + outer * outer_stride + inner * inner_stride;
      if (from.aligned && left >= 8) {
        held[i].Load(data);
      } else {
        held[i].Load(data, inner_stride, left);
      }
    }
  }
  __device__ void Put(uint16_t* tile) const {
    ATTNKIT_UNROLL
    for (int i = 0; i < kEach; ++i) {
      const int at = static_cast<int>(threadIdx.x) + i * kProductThreads;
      *reinterpret_cast<uint4*>(tile + at / kEights * kStride + at % kEights * 8) = held[i].Rounded();
    }
  }
  static __device__ void Take(const uint16_t* tile, int vector, int d, Fragment& to) {
    LoadFragment<kAlongDepth>(kAlongDepth ? tile + vector * kStride + d : tile + d * kStride + vector, kStride, to);
  }
};

// A tile of C by the first kDown x kRight warps of a block, each of kHigh x kWide fragments, kDepth numbers at a time;
// the other warps fetch.
template <int kDownWarps, int kRightWarps, int kHighFragments, int kWideFragments, int kDepthOfPart>
struct TileShape {
  static constexpr int kDown = kDownWarps, kRight = kRightWarps, kHigh = kHighFragments, kWide = kWideFragments;
  static constexpr int kRows = kDown * kHigh * kFragment, kColumns = kRight * kWide * kFragment, kDepth = kDepthOfPart;
};
using LargeTile = TileShape<2, 4, 4, 2, 32>;   // 128 x 128
using MiddleTile = TileShape<2, 4, 2, 1, 32>;  // 64 x 64
using ThinTile = TileShape<1, 2, 1, 1, 128>;   // 16 x 32

// Calls body(row, column, number) for each number of a warp's fragments that C has.
template <typename Tile, typename Body>
__device__ void ForNumbers(SumFragment (&sums)[Tile::kHigh][Tile::kWide], int64_t first_row, int64_t first_column,
                           int64_t m, int64_t n, const Body& body) {
  ATTNKIT_UNROLL
  for (int i = 0; i < Tile::kHigh; ++i) {
    ATTNKIT_UNROLL
    for (int j = 0; j < Tile::kWide; ++j) {
      ATTNKIT_UNROLL
      for (int number = 0; number < 8; ++number) {
        const int64_t row = first_row + i * kFragment + SumFragment::Row(number);
        const int64_t column = first_column + j * kFragment + SumFragment::Column(number);
        if (row < m && column < n) body(row, column, sums[i][j].numbers[number]);
      }
    }
  }
}

template <typename Tile, bool kAAlong, bool kBAlong, typename Number>
__device__ void MultiplyTensorTile(Vectors<float> a, Vectors<Number> b, int64_t depth, const FloatEpilogue& finisher,
                                   int64_t column_tiles) {
  using APart = TensorPart<float, kAAlong, Tile::kRows, Tile::kDepth>;
  using BPart = TensorPart<Number, kBAlong, Tile::kColumns, Tile::kDepth>;
  alignas(16) __shared__ uint16_t a_tiles[2][APart::kSize];
  alignas(16) __shared__ uint16_t b_tiles[2][BPart::kSize];
  const int64_t tile_row = blockIdx.x / column_tiles * Tile::kRows;
  const int64_t tile_column = blockIdx.x % column_tiles * Tile::kColumns;
  a.data += blockIdx.z * a.batch_step;
  b.data += blockIdx.z * b.batch_step;
  const int warp = static_cast<int>(threadIdx.x) / kWarp;
  const bool multiplies = warp < Tile::kDown * Tile::kRight;
  const int down = warp / Tile::kRight * Tile::kHigh * kFragment, right = warp % Tile::kRight * Tile::kWide * kFragment;
  const int64_t row = tile_row + down, column = tile_column + right;

  SumFragment sums[Tile::kHigh][Tile::kWide] = {};
  if (multiplies) {
    ForNumbers<Tile>(sums, row, column, a.count, b.count,
                     [&](int64_t r, int64_t c, float& sum) { sum = finisher.Start(r, c); });
  }
  APart next_a;
  BPart next_b;
  if (depth > 0) {
    next_a.Fetch(a, tile_row, 0, depth);
    next_b.Fetch(b, tile_column, 0, depth);
    next_a.Put(a_tiles[0]);
    next_b.Put(b_tiles[0]);
  }
  int stage = 0;
  for (int64_t first = 0; first < depth; first += Tile::kDepth, stage ^= 1) {
    __syncthreads();
    const bool more = first + Tile::kDepth < depth;
    if (more) {
      next_a.Fetch(a, tile_row, first + Tile::kDepth, depth);
      next_b.Fetch(b, tile_column, first + Tile::kDepth, depth);
    }
    if (multiplies) {
      ATTNKIT_UNROLL
      for (int d = 0; d < Tile::kDepth; d += kFragment) {
        if (first + d >= depth) break;
        Fragment left[Tile::kHigh], top[Tile::kWide];
        ATTNKIT_UNROLL
        for (int i = 0; i < Tile::kHigh; ++i) APart::Take(a_tiles[stage], down + i * kFragment, d, left[i]);
        ATTNKIT_UNROLL
        for (int j = 0; j < Tile::kWide; ++j) BPart::Take(b_tiles[stage], right + j * kFragment, d, top[j]);
        ATTNKIT_UNROLL
        for (int i = 0; i < Tile::kHigh; ++i) {
          ATTNKIT_UNROLL
          for (int j = 0; j < Tile::kWide; ++j) MultiplyAdd(left[i], top[j], sums[i][j]);
        }
      }
    }
    if (more) {
      next_a.Put(a_tiles[stage ^ 1]);  // what others may still read is in the other one
      next_b.Put(b_tiles[stage ^ 1]);
    }
  }
  if (multiplies) {
    ForNumbers<Tile>(sums, row, column, a.count, b.count,
                     [&](int64_t r, int64_t c, float& sum) { finisher.Finish(r, c, sum); });
  }
}

template <typename Tile, bool kAAlong, bool kBAlong, typename Number>
__global__ void __launch_bounds__(kProductThreads)
    TensorProductKernel(Vectors<float> a, Vectors<Number> b, int64_t depth, FloatEpilogue finisher,
                        int64_t column_tiles) {
  if constexpr (kTensorCores) MultiplyTensorTile<Tile, kAAlong, kBAlong>(a, b, depth, finisher, column_tiles);
}

}  // namespace attnkit::cuda
