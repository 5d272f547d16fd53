// The eight tile registers of AMX, in hardware and in plain C++. The matrix kernel (amx_kernel.inc) takes either, so
// that its logic is tested on machines without AMX.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "hwy/base.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace attnkit::kernels::gemm {

template <int kIndex>
struct TileIndex {};

constexpr int kTileRows = 16;   // rows of a full tile
constexpr int kTileWords = 16;  // words of a row: 64 bytes

// What ldtilecfg reads: rows and bytes of a row of each tile (Intel SDM, palette 1).
struct alignas(64) TileConfiguration {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};

  // Tiles 0, 1 and 4 (C and A of the upper half) have `upper` rows, 2, 3 and 5 `lower`, and 6 and 7 (B) all.
  TileConfiguration(int upper, int lower) {
    const int tile_rows[8] = {upper, upper, lower, lower, upper, lower, kTileRows, kTileRows};
    for (int t = 0; t < 8; ++t) {
      rows[t] = static_cast<uint8_t>(tile_rows[t]);
      row_bytes[t] = tile_rows[t] ? kTileWords * 4 : 0;
    }
  }
};

// Tiles in memory, one set for each thread.
class EmulatedTiles {
 public:
  static void Configure(const TileConfiguration& configuration) {
    std::memset(words_, 0, sizeof(words_));
    std::copy(configuration.rows, configuration.rows + 8, rows_);
  }
  static void Release() { std::fill(rows_, rows_ + 8, uint8_t{0}); }

  template <int t>
  static void Zero(TileIndex<t>) {
    std::memset(words_[t], 0, sizeof(words_[t]));
  }
  template <int t>
  static void Load(TileIndex<t>, const float* from, int64_t stride) {
    for (int r = 0; r < rows_[t]; ++r) std::memcpy(words_[t][r], from + r * stride, sizeof(words_[t][r]));
  }
  template <int t>
  static void Store(TileIndex<t>, float* to, int64_t stride) {
    for (int r = 0; r < rows_[t]; ++r) std::memcpy(to + r * stride, words_[t][r], sizeof(words_[t][r]));
  }
  template <int c, int a, int b>
  static void MultiplyAdd(TileIndex<c>, TileIndex<a>, TileIndex<b>) {
    ForWords<c, a, b>(&Dot);
  }
  template <int c, int a, int b>
  static void MultiplyAddBytes(TileIndex<c>, TileIndex<a>, TileIndex<b>) {
    ForWords<c, a, b>(&DotBytes);
  }

 private:
  template <int c, int a, int b, class DotFunction>
  static void ForWords(DotFunction dot) {
    for (int m = 0; m < rows_[c]; ++m) {
      for (int k = 0; k < kTileWords; ++k) {
        for (int n = 0; n < kTileWords; ++n) words_[c][m][n] = dot(words_[a][m][k], words_[b][k][n], words_[c][m][n]);
      }
    }
  }
  static float Half(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  }
  static float Dot(float a, float b, float sum) {
    uint32_t x, y;
    std::memcpy(&x, &a, sizeof(x));
    std::memcpy(&y, &b, sizeof(y));
    sum += Half(x << 16) * Half(y << 16);
    return sum + Half(x & 0xFFFF0000u) * Half(y & 0xFFFF0000u);
  }
  // Four signed bytes each; the sum is an int32 in the bits of a float.
  static float DotBytes(float a, float b, float sum) {
    int8_t x[4], y[4];
    int32_t total;
    std::memcpy(x, &a, sizeof(x));
    std::memcpy(y, &b, sizeof(y));
    std::memcpy(&total, &sum, sizeof(total));
    for (int i = 0; i < 4; ++i) total += x[i] * y[i];
    std::memcpy(&sum, &total, sizeof(sum));
    return sum;
  }

  static inline thread_local float words_[8][kTileRows][kTileWords] = {};
  static inline thread_local uint8_t rows_[8] = {};
};

#if defined(__x86_64__)
HWY_PUSH_ATTRIBUTES("amx-tile,amx-bf16,amx-int8")

// Strides are in words. The intrinsics name tiles by literals, hence the macro. GCC's tile load does not say that it
// reads memory, so a barrier keeps earlier stores before it.
class HardwareTiles {
 public:
  static HWY_INLINE void Configure(const TileConfiguration& configuration) {
    asm volatile("" ::: "memory");
    _tile_loadconfig(&configuration);
  }
  static HWY_INLINE void Release() { _tile_release(); }

#define ATTNKIT_AMX_TILE(t)                                                      \
  static HWY_INLINE void Zero(TileIndex<t>) { _tile_zero(t); }                   \
  static HWY_INLINE void Load(TileIndex<t>, const float* from, int64_t stride) { \
    asm volatile("" ::: "memory");                                               \
    _tile_loadd(t, from, stride * 4);                                            \
  }                                                                              \
  static HWY_INLINE void Store(TileIndex<t>, float* to, int64_t stride) { _tile_stored(t, to, stride * 4); }
  ATTNKIT_AMX_TILE(0)
  ATTNKIT_AMX_TILE(1)
  ATTNKIT_AMX_TILE(2)
  ATTNKIT_AMX_TILE(3)
  ATTNKIT_AMX_TILE(4)
  ATTNKIT_AMX_TILE(5)
  ATTNKIT_AMX_TILE(6)
  ATTNKIT_AMX_TILE(7)
#undef ATTNKIT_AMX_TILE

  static HWY_INLINE void MultiplyAdd(TileIndex<0>, TileIndex<4>, TileIndex<6>) { _tile_dpbf16ps(0, 4, 6); }
  static HWY_INLINE void MultiplyAdd(TileIndex<1>, TileIndex<4>, TileIndex<7>) { _tile_dpbf16ps(1, 4, 7); }
  static HWY_INLINE void MultiplyAdd(TileIndex<2>, TileIndex<5>, TileIndex<6>) { _tile_dpbf16ps(2, 5, 6); }
  static HWY_INLINE void MultiplyAdd(TileIndex<3>, TileIndex<5>, TileIndex<7>) { _tile_dpbf16ps(3, 5, 7); }
  static HWY_INLINE void MultiplyAddBytes(TileIndex<0>, TileIndex<4>, TileIndex<6>) { _tile_dpbssd(0, 4, 6); }
  static HWY_INLINE void MultiplyAddBytes(TileIndex<1>, TileIndex<4>, TileIndex<7>) { _tile_dpbssd(1, 4, 7); }
  static HWY_INLINE void MultiplyAddBytes(TileIndex<2>, TileIndex<5>, TileIndex<6>) { _tile_dpbssd(2, 5, 6); }
  static HWY_INLINE void MultiplyAddBytes(TileIndex<3>, TileIndex<5>, TileIndex<7>) { _tile_dpbssd(3, 5, 7); }
};

HWY_POP_ATTRIBUTES
#endif  // __x86_64__

}  // namespace attnkit::kernels::gemm
