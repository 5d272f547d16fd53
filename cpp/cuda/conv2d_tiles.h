// Products of matrices of which one is made of windows over images and never stored (implicit GEMM, Chetlur et al.,
// "cuDNN: Efficient Primitives for Deep Learning", 2014).
//
// A block of 256 threads makes a square tile of C = A · B. Step by step along the depth, stretches of A and B go
// through shared memory; a thread fetches the numbers of the next step while it multiplies those of this one, and keeps
// sums in registers: by itself, or with its warp by tensor cores, in bf16. Every sum is one chain over the depth in
// rising order, whatever the tile: a number does not depend on how many others there are.
#pragma once

#include <cstdint>

#include "cuda/bfloat16.h"
#include "cuda/device.h"
#include "cuda/launch.h"
#include "cuda/tensor_cores.h"

namespace attnkit::cuda {

constexpr int kTileThreads = 256, kTileSide = 16, kTileDepth = 16;  // kTileSide: threads along a side
constexpr int kSmallMicro = 4, kLargeMicro = 8;

// Output o of an axis reads the inputs o * step + shift + t for t < taps; those outside [0, size) are zeros.
struct Reach {
  int64_t size, outputs, taps, step, shift;
};

// `channels` channels of images, `pixel` numbers from one pixel to the next, under a window. An output sees depth()
// numbers, in the order (row tap, column tap, channel).
struct View {
  const float* x;
  int64_t pixel, channels;
  Reach rows, columns;

  __host__ __device__ int64_t depth() const { return rows.taps * columns.taps * channels; }
  __host__ __device__ int64_t outputs() const { return rows.outputs * columns.outputs; }
};

// Where the window of an output begins: an image, and a pixel that may lie outside of it, as unsigned numbers, so that
// one comparison says whether one of the window's pixels is inside.
struct alignas(16) Place {
  const float* image;  // null: there is no such output
  uint32_t row, column;

  __device__ static Place Of(const View& view, int64_t output, int64_t count) {
    Place place = {nullptr, 0, 0};
    if (output >= count) return place;
    const int64_t in_image = output % view.outputs();
    place.image = view.x + output / view.outputs() * view.rows.size * view.columns.size * view.pixel;
    place.row = static_cast<uint32_t>(in_image / view.columns.outputs * view.rows.step + view.rows.shift);
    place.column = static_cast<uint32_t>(in_image % view.columns.outputs * view.columns.step + view.columns.shift);
    return place;
  }
};

// One of the numbers that an output sees.
struct Tap {
  uint32_t row, column;
  int64_t channel;

  __device__ static Tap Of(const View& view, int64_t k) {
    const int64_t pixel = k / view.channels;
    return {static_cast<uint32_t>(pixel / view.columns.taps), static_cast<uint32_t>(pixel % view.columns.taps),
            k % view.channels};
  }
};

__device__ inline float ReadWindow(const View& view, const Place& place, const Tap& tap) {
  const uint32_t row = place.row + tap.row, column = place.column + tap.column;
  if (!place.image || row >= view.rows.size || column >= view.columns.size) return 0.0f;
  return place.image[(row * view.columns.size + column) * view.pixel + tap.channel];
}

// Which of a stretch's numbers, [kTileDepth] by [kTileSide * kMicro], a thread fetches: kMicro of them. Lanes go along
// the dimension that is consecutive in memory.
template <int kMicro>
struct AlongDepth {
  __device__ static int Row(int i) { return static_cast<int>(threadIdx.x) / kTileDepth + i * kTileSide; }
  __device__ static int Depth(int) { return static_cast<int>(threadIdx.x) % kTileDepth; }
};
template <int kMicro>
struct AlongRows {
  static constexpr int kTile = kTileSide * kMicro;
  __device__ static int Row(int) { return static_cast<int>(threadIdx.x) % kTile; }
  __device__ static int Depth(int i) { return static_cast<int>(threadIdx.x) / kTile + i * (kTileThreads / kTile); }
};

// Room in shared memory for where the windows of outputs begin: those of the rows of a tile, or of the depth of this
// step and the next.
struct Places {
  Place of_row[kTileSide * kLargeMicro];
  Place of_step[2][kTileDepth];
};

// Sides of a product. Begin(places) and Prepare(k, end, step, places) are called by all threads a barrier ahead of
// Fetch(k, end, step, places, values), which gets numbers k + Depth(i) of rows first + Row(i), zeros where there are
// none.

// Rows are outputs, the depth is their windows.
template <int kMicro>
class WindowRows : public AlongDepth<kMicro> {
 public:
  __device__ WindowRows(const View& view, int64_t first, int64_t count) : view_(view), first_(first), count_(count) {}
  __device__ void Begin(Places& places) const {
    const int i = static_cast<int>(threadIdx.x);
    if (i < kTileSide * kMicro) places.of_row[i] = Place::Of(view_, first_ + i, count_);
  }
  __device__ void Prepare(int64_t, int64_t, int, Places&) const {}
  __device__ void Fetch(int64_t k, int64_t end, int, const Places& places, float values[kMicro]) const {
    k += this->Depth(0);
    const Tap tap = Tap::Of(view_, k);
    ATTNKIT_UNROLL
    for (int i = 0; i < kMicro; ++i) {
      values[i] = k < end ? ReadWindow(view_, places.of_row[this->Row(i)], tap) : 0.0f;
    }
  }

 private:
  const View& view_;
  int64_t first_, count_;
};

// The other way round: rows are the numbers of a window, the depth is outputs.
template <int kMicro>
class WindowColumns : public AlongRows<kMicro> {
 public:
  __device__ WindowColumns(const View& view, int64_t first, int64_t count)
      : view_(view), tap_(Tap::Of(view, first + this->Row(0))), inside_(first + this->Row(0) < count) {}
  __device__ void Begin(Places&) const {}
  __device__ void Prepare(int64_t k, int64_t end, int step, Places& places) const {
    const int i = static_cast<int>(threadIdx.x);
    if (i < kTileDepth) places.of_step[step % 2][i] = Place::Of(view_, k + i, end);
  }
  __device__ void Fetch(int64_t, int64_t, int step, const Places& places, float values[kMicro]) const {
    ATTNKIT_UNROLL
    for (int i = 0; i < kMicro; ++i) {
      values[i] = inside_ ? ReadWindow(view_, places.of_step[step % 2][this->Depth(i)], tap_) : 0.0f;
    }
  }

 private:
  const View& view_;
  Tap tap_;
  bool inside_;
};

__device__ inline float Widened(float x) { return x; }
__device__ inline float Widened(uint16_t bits) { return WidenedBits(bits); }

// A matrix that lies in memory, of float32 or bf16 as bits: number k of row r at data[r * row + k * depth].
template <typename Along, int kMicro, typename Number = float>
class MatrixRows : public Along {
 public:
  __device__ MatrixRows(const Number* data, int64_t row, int64_t depth, int64_t first, int64_t count)
      : data_(data + first * row), row_(row), depth_(depth), count_(count - first) {}
  __device__ void Begin(Places&) const {}
  __device__ void Prepare(int64_t, int64_t, int, Places&) const {}
  __device__ void Fetch(int64_t k, int64_t end, int, const Places&, float values[kMicro]) const {
    ATTNKIT_UNROLL
    for (int i = 0; i < kMicro; ++i) {
      const int64_t row = this->Row(i), at = k + this->Depth(i);
      values[i] = row < count_ && at < end ? Widened(data_[row * row_ + at * depth_]) : 0.0f;
    }
  }

 private:
  const Number* data_;
  int64_t row_, depth_, count_;
};

// A tile of C: rows from `row`, columns from `column` on, of sums over the depth [begin, end).
struct Tile {
  int64_t row, column, begin, end;
};

// What a block's threads have of a tile's sums, two ways. Room is where a stretch of A or B lies in shared memory: Put
// brings number `depth` of a row there. Add adds the products of two stretches, ForEach calls write(row, column, sum)
// with rows and columns counted within the tile.

// Each thread kMicro x kMicro, in float32; `rounds` to bf16 what is multiplied.
template <int kMicro>
struct FloatSums {
  static constexpr int kTile = kTileSide * kMicro, kLine = kTile / 4 + 1;  // a float4 more: fewer conflicts
  struct Room {
    float4 numbers[kTileDepth * kLine];
  };
  float sums[kMicro][kMicro] = {};

  // Numbers of a tile by thread: 4 that lie together, then those a quarter of a hundred on: float4s without conflicts.
  static __device__ int OfTile(int thread, int i) { return i / 4 * (4 * kTileSide) + thread * 4 + i % 4; }
  static __device__ int Down() { return static_cast<int>(threadIdx.x) / kTileSide; }
  static __device__ int Across() { return static_cast<int>(threadIdx.x) % kTileSide; }

  static __device__ void Put(float x, bool rounds, int depth, int row, Room& room) {
    reinterpret_cast<float*>(room.numbers)[depth * 4 * kLine + row] = rounds ? WidenedBits(RoundedBits(x)) : x;
  }
  __device__ void Add(const Room& left, const Room& right) {
    ATTNKIT_UNROLL
    for (int d = 0; d < kTileDepth; ++d) {
      float4 x[kMicro / 4], y[kMicro / 4];
      ATTNKIT_UNROLL
      for (int i = 0; i < kMicro / 4; ++i) {
        x[i] = left.numbers[d * kLine + i * kTileSide + Down()];
        y[i] = right.numbers[d * kLine + i * kTileSide + Across()];
      }
      const float* xs = reinterpret_cast<const float*>(x);
      const float* ys = reinterpret_cast<const float*>(y);
      ATTNKIT_UNROLL
      for (int i = 0; i < kMicro; ++i) {
        ATTNKIT_UNROLL
        for (int j = 0; j < kMicro; ++j) sums[i][j] += xs[i] * ys[j];
      }
    }
  }
  template <typename Write>
  __device__ void ForEach(const Write& write) const {
    ATTNKIT_UNROLL
    for (int i = 0; i < kMicro; ++i) {
      ATTNKIT_UNROLL
      for (int j = 0; j < kMicro; ++j) write(OfTile(Down(), i), OfTile(Across(), j), sums[i][j]);
    }
  }
};

// Each warp kMicro / 2 x kMicro / 4 fragments, two warps high and four wide, by tensor cores.
template <int kMicro>
struct TensorSums {
  static constexpr int kHigh = kMicro / 2, kWide = kMicro / 4;
  static constexpr int kLine = kTileSide * kMicro + 8;  // eight more: the rows of a fragment lie in different banks
  struct alignas(16) Room {
    uint16_t numbers[kTileDepth * kLine];
  };
  static_assert(kTileDepth == kFragment);
  SumFragment sums[kHigh][kWide] = {};

  static __device__ int Down() { return static_cast<int>(threadIdx.x) / kWarp / 4 * kHigh * kFragment; }
  static __device__ int Across() { return static_cast<int>(threadIdx.x) / kWarp % 4 * kWide * kFragment; }

  static __device__ void Put(float x, bool, int depth, int row, Room& room) {
    room.numbers[depth * kLine + row] = RoundedBits(x);
  }
  __device__ void Add(const Room& left, const Room& right) {
    Fragment a[kHigh], b[kWide];
    ATTNKIT_UNROLL
    for (int i = 0; i < kHigh; ++i) LoadFragment<false>(left.numbers + Down() + i * kFragment, kLine, a[i]);
    ATTNKIT_UNROLL
    for (int j = 0; j < kWide; ++j) LoadFragment<false>(right.numbers + Across() + j * kFragment, kLine, b[j]);
    ATTNKIT_UNROLL
    for (int i = 0; i < kHigh; ++i) {
      ATTNKIT_UNROLL
      for (int j = 0; j < kWide; ++j) MultiplyAdd(a[i], b[j], sums[i][j]);
    }
  }
  template <typename Write>
  __device__ void ForEach(const Write& write) const {
    ATTNKIT_UNROLL
    for (int i = 0; i < kHigh; ++i) {
      ATTNKIT_UNROLL
      for (int j = 0; j < kWide; ++j) {
        ATTNKIT_UNROLL
        for (int n = 0; n < 8; ++n) {
          write(Down() + i * kFragment + SumFragment::Row(n), Across() + j * kFragment + SumFragment::Column(n),
                sums[i][j].numbers[n]);
        }
      }
    }
  }
};

// problem.Find(block, kTile, tile, local) finds the block's tile, and what of the problem is the tile's own; false
// where there is nothing. problem.Left<kMicro>(local, tile) and Right<kMicro>(local, tile) are sides of its product,
// and problem.Write(local, row, column, sum) takes what comes of it. problem.rounds: to bf16 what is multiplied; never,
// where kMayRound says so.
template <int kMicro, typename Sums, typename Problem>
__device__ void MultiplyTile(const Problem& problem) {
  __shared__ typename Sums::Room left_room, right_room;
  __shared__ Places left_places, right_places;
  // What all threads have in common leaves them their registers.
  __shared__ typename Problem::Local local;
  __shared__ Tile tile;
  __shared__ bool found;
  if (threadIdx.x == 0) found = problem.Find(blockIdx.x, kTileSide * kMicro, tile, local);
  __syncthreads();
  if (!found) return;
  const auto left = problem.template Left<kMicro>(local, tile);
  const auto right = problem.template Right<kMicro>(local, tile);
  Sums sums;
  float a[kMicro], b[kMicro];

  left.Begin(left_places);
  right.Begin(right_places);
  left.Prepare(tile.begin, tile.end, 0, left_places);
  right.Prepare(tile.begin, tile.end, 0, right_places);
  __syncthreads();
  if (tile.begin < tile.end) {
    left.Fetch(tile.begin, tile.end, 0, left_places, a);
    right.Fetch(tile.begin, tile.end, 0, right_places, b);
  }
  int step = 0;
  for (int64_t k = tile.begin; k < tile.end; k += kTileDepth, ++step) {
    ATTNKIT_UNROLL
    for (int i = 0; i < kMicro; ++i) {
      Sums::Put(a[i], problem.rounds, left.Depth(i), left.Row(i), left_room);
      Sums::Put(b[i], problem.rounds, right.Depth(i), right.Row(i), right_room);
    }
    const int64_t next = k + kTileDepth;
    left.Prepare(next, tile.end, step + 1, left_places);
    right.Prepare(next, tile.end, step + 1, right_places);
    __syncthreads();
    if (next < tile.end) {
      left.Fetch(next, tile.end, step + 1, left_places, a);
      right.Fetch(next, tile.end, step + 1, right_places, b);
    }
    sums.Add(left_room, right_room);
    __syncthreads();
  }
  sums.ForEach(
      [&](int row, int column, float sum) { problem.Write(local, tile.row + row, tile.column + column, sum); });
}

template <int kMicro, typename Problem>
__global__ void __launch_bounds__(kTileThreads, 2) TileKernel(Problem problem) {
  MultiplyTile<kMicro, FloatSums<kMicro>>(problem);
}
template <int kMicro, typename Problem>
__global__ void __launch_bounds__(kTileThreads) TensorTileKernel(Problem problem) {
  if constexpr (kTensorCores) MultiplyTile<kMicro, TensorSums<kMicro>>(problem);
}

constexpr int64_t kWantedBlocks = 512;  // a few for each multiprocessor

__host__ __device__ inline int64_t TilesOf(int64_t numbers, int64_t tile) { return (numbers + tile - 1) / tile; }

// Tiles of a grid: columns, then rows, then what else there is.
template <typename Problem>
void LaunchTiles(const Problem& problem, int64_t rows, int64_t columns, int64_t others) {
  constexpr int64_t kLarge = kTileSide * kLargeMicro, kSmall = kTileSide * kSmallMicro;
  const int64_t large = TilesOf(rows, kLarge) * TilesOf(columns, kLarge) * others;
  const int64_t small = TilesOf(rows, kSmall) * TilesOf(columns, kSmall) * others;
  const bool is_large = columns > kSmall && rows > kSmall && large >= kWantedBlocks;
  auto kernel = is_large ? &TileKernel<kLargeMicro, Problem> : &TileKernel<kSmallMicro, Problem>;
  if constexpr (Problem::kMayRound) {
    if (problem.rounds && HasTensorCores())
      kernel = is_large ? &TensorTileKernel<kLargeMicro, Problem> : &TensorTileKernel<kSmallMicro, Problem>;
  }
  Launch({dim3(static_cast<unsigned>(is_large ? large : small)), dim3(kTileThreads)}, kernel, problem);
}

}  // namespace attnkit::cuda
