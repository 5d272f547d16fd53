// The product of tiles through shared memory: C[m, n] = epilogue(A[m, depth] · B[depth, n]).
//
// Every number of C is one chain of multiply-adds in rising order of depth, whatever the tile that it falls into: so
// shapes of tiles may be chosen by size, and a row's result does not depend on the rows beside it.
#pragma once

#include <cstdint>
#include <type_traits>

#include "cuda/activation.h"
#include "cuda/bfloat16.h"
#include "cuda/launch.h"

namespace attnkit::cuda {

// ----- Matrices as they are read: number (i, j) at data[i * row_stride + j * column_stride].

template <typename T>
struct PlainView {
  using Number = T;
  const T* data;
  int64_t row_stride, column_stride;
  __device__ T operator()(int64_t i, int64_t j) const { return data[i * row_stride + j * column_stride]; }
};
// Rounded to bf16.
struct RoundedView {
  using Number = float;
  const float* data;
  int64_t row_stride, column_stride;
  __device__ float operator()(int64_t i, int64_t j) const {
    return WidenedBits(RoundedBits(data[i * row_stride + j * column_stride]));
  }
};
// bf16 as bits.
struct WidenedView {
  using Number = float;
  const uint16_t* data;
  int64_t row_stride, column_stride;
  __device__ float operator()(int64_t i, int64_t j) const {
    return WidenedBits(data[i * row_stride + j * column_stride]);
  }
};

__device__ inline float MultiplyAdd(float a, float b, float sum) { return __fmaf_rn(a, b, sum); }
// Of four bytes each.
__device__ inline int MultiplyAdd(int a, int b, int sum) { return __dp4a(a, b, sum); }

// ----- What a chain starts from, and what is done with its end.

struct FloatEpilogue {
  float* c;
  int64_t c_row;
  kernels::Epilogue rule;
  int64_t c_step = 0;  // from one matrix of a batch to the next
  __device__ float Start(int64_t row, int64_t column) const {
    if (rule.accumulate) return c[At(row, column)];
    return rule.bias ? rule.bias[column] : 0.0f;
  }
  __device__ void Finish(int64_t row, int64_t column, float sum) const {
    const int64_t at = At(row, column);
    if (rule.pre_activation) rule.pre_activation[at] = sum;
    c[at] = Activate(rule.activation, sum);
  }

 private:
  __device__ int64_t At(int64_t row, int64_t column) const { return blockIdx.z * c_step + row * c_row + column; }
};

// The products of one launch: so many matrices of A and B, and how many numbers lie between one and the next.
struct ProductBatch {
  int64_t count = 1, a_step = 0, b_step = 0;
};
constexpr int64_t kMostProducts = 65535;  // blocks of a grid in z

// ----- The kernels, of 256 threads.

constexpr int kProductThreads = 256;

// Large tiles read A and B least often, thin ones fill the processors where there are few rows or little to do.
enum class TileSize { kThin, kMiddle, kLarge };

// By the shapes alone; `batch` products are launched together.
inline TileSize TileSizeFor(int64_t m, int64_t n, int64_t batch, int64_t thin_rows) {
  constexpr int64_t kFewestTiles = 48, kFewestLargeTiles = 128;
  const auto tiles = [&](int64_t side) { return batch * Blocks(m, side) * Blocks(n, side); };
  if (m <= thin_rows || tiles(64) < kFewestTiles) return TileSize::kThin;
  return tiles(128) < kFewestLargeTiles ? TileSize::kMiddle : TileSize::kLarge;
}

// A part [rows, kDepth] of a matrix on its way to shared memory, through registers of the block's threads, so that the
// next part comes while this one is multiplied. Neighbouring threads read neighbouring numbers, along the rows or the
// depth. kRowStride is that of a place of depth in shared memory.
template <typename Number, int kRows, int kDepth>
struct Part {
  static constexpr int kEach = kRows * kDepth / kProductThreads;
  static_assert(kEach * kProductThreads == kRows * kDepth);
  Number held[kEach];

  static __device__ void Place(int i, bool along_depth, int& row, int& d) {
    const int at = static_cast<int>(threadIdx.x) + i * kProductThreads;
    row = along_depth ? at / kDepth : at % kRows;
    d = along_depth ? at % kDepth : at / kRows;
  }
  // kTransposed: rows of the part are columns of the matrix.
  template <bool kTransposed, typename View>
  __device__ void Fetch(const View& view, int64_t first, int64_t rows, int64_t first_d, int64_t depth) {
    const bool along_depth = (kTransposed ? view.row_stride : view.column_stride) == 1;
    ATTNKIT_UNROLL
    for (int i = 0; i < kEach; ++i) {
      int row, d;
      Place(i, along_depth, row, d);
      const int64_t r = first + row, k = first_d + d;
      held[i] = r < rows && k < depth ? (kTransposed ? view(k, r) : view(r, k)) : Number(0);
    }
  }
  template <int kStride>
  __device__ void Put(Number (&to)[kDepth][kStride], bool along_depth) const {
    ATTNKIT_UNROLL
    for (int i = 0; i < kEach; ++i) {
      int row, d;
      Place(i, along_depth, row, d);
      to[d][row] = held[i];
    }
  }
};

// Tiles of (64 kHigh) x (64 kWide): a thread has kHigh x kWide squares of 4 x 4, 64 apart.
template <int kHigh, int kWide, typename A, typename B, typename Finisher>
__global__ void __launch_bounds__(kProductThreads, kHigh* kWide == 1 ? 2 : 1)
    TiledProductKernel(A a, B b, ProductBatch batch, int64_t m, int64_t n, int64_t depth, Finisher finisher,
                       int64_t column_tiles) {
  using Number = typename A::Number;
  constexpr int kDepth = kHigh * kWide == 1 ? 16 : 8, kRows = 64 * kHigh, kColumns = 64 * kWide, kPad = 4;
  alignas(16) __shared__ Number a_part[kDepth][kRows + kPad];
  alignas(16) __shared__ Number b_part[kDepth][kColumns + kPad];
  const int64_t first_row = blockIdx.x / column_tiles * kRows, first_column = blockIdx.x % column_tiles * kColumns;
  const int down = static_cast<int>(threadIdx.x) / 16 * 4, right = static_cast<int>(threadIdx.x) % 16 * 4;
  const bool a_along = a.column_stride == 1, b_along = b.row_stride == 1;
  a.data += blockIdx.z * batch.a_step;
  b.data += blockIdx.z * batch.b_step;

  Number sums[4 * kHigh][4 * kWide];
  ATTNKIT_UNROLL
  for (int i = 0; i < 4 * kHigh; ++i) {
    ATTNKIT_UNROLL
    for (int j = 0; j < 4 * kWide; ++j) {
      const int64_t row = first_row + i / 4 * 64 + down + i % 4, column = first_column + j / 4 * 64 + right + j % 4;
      sums[i][j] = row < m && column < n ? finisher.Start(row, column) : Number(0);
    }
  }

  Part<Number, kRows, kDepth> next_a;
  Part<Number, kColumns, kDepth> next_b;
  next_a.template Fetch<false>(a, first_row, m, 0, depth);
  next_b.template Fetch<true>(b, first_column, n, 0, depth);
  const auto step = [&](int d) {
    Number left[4 * kHigh], top[4 * kWide];
    ATTNKIT_UNROLL
    for (int i = 0; i < 4 * kHigh; ++i) left[i] = a_part[d][i / 4 * 64 + down + i % 4];
    ATTNKIT_UNROLL
    for (int j = 0; j < 4 * kWide; ++j) top[j] = b_part[d][j / 4 * 64 + right + j % 4];
    ATTNKIT_UNROLL
    for (int i = 0; i < 4 * kHigh; ++i) {
      ATTNKIT_UNROLL
      for (int j = 0; j < 4 * kWide; ++j) sums[i][j] = MultiplyAdd(left[i], top[j], sums[i][j]);
    }
  };
  for (int64_t first = 0; first < depth; first += kDepth) {
    next_a.Put(a_part, a_along);
    next_b.Put(b_part, b_along);
    __syncthreads();
    if (first + kDepth < depth) {
      next_a.template Fetch<false>(a, first_row, m, first + kDepth, depth);
      next_b.template Fetch<true>(b, first_column, n, first + kDepth, depth);
      ATTNKIT_UNROLL
      for (int d = 0; d < kDepth; ++d) step(d);
    } else {  // not the zeros behind the depth: -0 + 0 · 0 is 0
      for (int d = 0; d < depth - first; ++d) step(d);
    }
    __syncthreads();
  }

  ATTNKIT_UNROLL
  for (int i = 0; i < 4 * kHigh; ++i) {
    ATTNKIT_UNROLL
    for (int j = 0; j < 4 * kWide; ++j) {
      const int64_t row = first_row + i / 4 * 64 + down + i % 4, column = first_column + j / 4 * 64 + right + j % 4;
      if (row < m && column < n) finisher.Finish(row, column, sums[i][j]);
    }
  }
}

// Tiles of 8 x 32, for few rows and small products, which would fill few of a GPU's processors: a warp for each row, a
// thread for each number.
constexpr int kThinRows = 8, kThinColumns = 32;

template <typename A, typename B, typename Finisher>
__global__ void __launch_bounds__(kProductThreads, 2)
    ThinProductKernel(A a, B b, ProductBatch batch, int64_t m, int64_t n, int64_t depth, Finisher finisher,
                      int64_t column_tiles) {
  using Number = typename A::Number;
  constexpr int kDepth = 32;
  __shared__ Number a_part[kDepth][kThinRows + 1];
  __shared__ Number b_part[kDepth][kThinColumns + 1];
  const int64_t first_row = blockIdx.x / column_tiles * kThinRows;
  const int64_t first_column = blockIdx.x % column_tiles * kThinColumns;
  const int down = static_cast<int>(threadIdx.x) / kWarp, right = static_cast<int>(threadIdx.x) % kWarp;
  const int64_t row = first_row + down, column = first_column + right;
  const bool a_along = a.column_stride == 1, b_along = b.row_stride == 1;
  a.data += blockIdx.z * batch.a_step;
  b.data += blockIdx.z * batch.b_step;
  Number sum = row < m && column < n ? finisher.Start(row, column) : Number(0);

  Part<Number, kThinRows, kDepth> next_a;
  Part<Number, kThinColumns, kDepth> next_b;
  next_a.template Fetch<false>(a, first_row, m, 0, depth);
  next_b.template Fetch<true>(b, first_column, n, 0, depth);
  for (int64_t first = 0; first < depth; first += kDepth) {
    next_a.Put(a_part, a_along);
    next_b.Put(b_part, b_along);
    __syncthreads();
    if (first + kDepth < depth) {
      next_a.template Fetch<false>(a, first_row, m, first + kDepth, depth);
      next_b.template Fetch<true>(b, first_column, n, first + kDepth, depth);
    }
    const int64_t left = depth - first;
    if (row < m && left >= kDepth) {
      ATTNKIT_UNROLL
      for (int d = 0; d < kDepth; ++d) sum = MultiplyAdd(a_part[d][down], b_part[d][right], sum);
    } else if (row < m) {
      for (int d = 0; d < left; ++d) sum = MultiplyAdd(a_part[d][down], b_part[d][right], sum);
    }
    __syncthreads();
  }
  if (row < m && column < n) finisher.Finish(row, column, sum);
}

template <typename A, typename B, typename Finisher>
void Product(A a, B b, int64_t m, int64_t n, int64_t depth, const Finisher& finisher, const ProductBatch& batch = {}) {
  static_assert(std::is_same_v<typename A::Number, typename B::Number>);
  if (m <= 0 || n <= 0) return;
  if (depth == 0) a.data = nullptr, b.data = nullptr;  // nothing is read; a part of nothing may begin anywhere
  const auto launch = [&](int64_t rows, int64_t columns, auto kernel) {
    const int64_t column_tiles = Blocks(n, columns), row_tiles = Blocks(m, rows);
    Launch({dim3(static_cast<unsigned>(row_tiles * column_tiles), 1, static_cast<unsigned>(batch.count)),
            dim3(kProductThreads)},
           kernel, a, b, batch, m, n, depth, finisher, column_tiles);
  };
  switch (TileSizeFor(m, n, batch.count, kThinRows)) {
    case TileSize::kThin: return launch(kThinRows, kThinColumns, &ThinProductKernel<A, B, Finisher>);
    case TileSize::kMiddle: return launch(64, 64, &TiledProductKernel<1, 1, A, B, Finisher>);
    case TileSize::kLarge: return launch(128, 128, &TiledProductKernel<2, 2, A, B, Finisher>);
  }
}

}  // namespace attnkit::cuda
