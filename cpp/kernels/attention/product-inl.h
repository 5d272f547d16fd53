// Small matrix products out of the first-level cache: C[rows, columns] (+)= A[rows, depth] · B[depth, columns].
//
// A tile of C lives in registers; for each step of depth, numbers of A are broadcast against vectors of B. Every number
// of C is one chain of multiply-adds in rising order of depth, whatever the tile it falls into.

#if defined(ATTNKIT_KERNELS_ATTENTION_PRODUCT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTNKIT_KERNELS_ATTENTION_PRODUCT_INL_H_
#undef ATTNKIT_KERNELS_ATTENTION_PRODUCT_INL_H_
#else
#define ATTNKIT_KERNELS_ATTENTION_PRODUCT_INL_H_
#endif

#include <algorithm>
#include <array>
#include <utility>

#include "hwy/highway.h"
#include "kernels/attention/geometry.h"
#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::attention::HWY_NAMESPACE {
using namespace kernels::HWY_NAMESPACE;

using FloatTag = Floats;
using Vector = FloatVec;
constexpr int64_t kLanes = hn::MaxLanes(FloatTag());

// The shape of the register tile: 32 registers hold 6 x 4 vectors of C, 16 hold 6 x 2, with room for B and a broadcast.
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr int64_t kMaxVectors = 4;
constexpr int64_t kMaxRows[kMaxVectors + 1] = {0, 16, 12, 8, 6};
#else
constexpr int64_t kMaxVectors = 2;
constexpr int64_t kMaxRows[kMaxVectors + 1] = {0, 12, 6};
#endif
constexpr int64_t kPanel = kMaxVectors * kLanes;  // columns of B that one tile takes
constexpr int64_t kMaxDepth = 8192 / kPanel;      // rows of B that stay in the first-level cache beside A and C

// A: element (r, k) at data[r * row + k * step].
struct Left {
  const float* data;
  int64_t row, step;
};

struct Result {
  float* data;
  int64_t row;
  bool accumulate = false;
  const float* row_scale = nullptr;  // if set, rows are multiplied by these in the end
};

struct TileCall {
  const float* a;
  int64_t a_row, a_step;
  const float* b;
  int64_t b_row, depth;
  float* c;
  int64_t c_row;
  const float* row_scale;
  bool accumulate;
  int64_t tail;  // columns of the last vector when it is not full, else 0
};

template <int kRows, int kVectors>
void Tile(const TileCall& call) {
  const FloatTag d;
  Vector acc[kRows][kVectors];
  if (call.accumulate) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const float* from = call.c + r * call.c_row + v * kLanes;
        acc[r][v] = v == kVectors - 1 && call.tail ? LoadTail(from, call.tail) : hn::LoadU(d, from);
      }
    }
  } else {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[r][v] = hn::Zero(d);
    }
  }
  // One pointer for four rows: the four are then reached by scaled-index addressing, and registers do not run out.
  constexpr int kGroups = (kRows + 3) / 4;
  const float* a[kGroups];
#pragma GCC unroll 4
  for (int g = 0; g < kGroups; ++g) a[g] = call.a + 4 * g * call.a_row;
  const float* b = call.b;
  const int64_t a_row = call.a_row, a_row3 = 3 * call.a_row, a_step = call.a_step, b_row = call.b_row;
  for (int64_t k = call.depth; k > 0; --k) {
    Vector bv[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) bv[v] = hn::LoadU(d, b + v * kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const float* at = a[r / 4] + (r % 4 == 0 ? 0 : r % 4 == 1 ? a_row : r % 4 == 2 ? 2 * a_row : a_row3);
      const Vector av = hn::Set(d, *at);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[r][v] = hn::MulAdd(av, bv[v], acc[r][v]);
    }
#pragma GCC unroll 4
    for (int g = 0; g < kGroups; ++g) a[g] += a_step;
    b += b_row;
  }
  if (call.row_scale) {
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const Vector factor = hn::Set(d, call.row_scale[r]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) acc[r][v] = hn::Mul(acc[r][v], factor);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      float* to = call.c + r * call.c_row + v * kLanes;
      if (v == kVectors - 1 && call.tail) {
        StoreTail(acc[r][v], call.tail, to);
      } else {
        hn::StoreU(acc[r][v], d, to);
      }
    }
  }
}

using TileFunction = void (*)(const TileCall&);

template <int kVectors, size_t... kIndex>
constexpr std::array<TileFunction, sizeof...(kIndex)> TilesOfRows(std::index_sequence<kIndex...>) {
  return {&Tile<static_cast<int>(kIndex) + 1, kVectors>...};
}

template <int kVectors>
TileFunction TileFor(int64_t rows) {
  static constexpr auto kTiles = TilesOfRows<kVectors>(std::make_index_sequence<kMaxRows[kVectors]>());
  return kTiles[rows - 1];
}

inline TileFunction TileFor(int64_t rows, int64_t vectors) {
  if constexpr (kMaxVectors == 4) {
    if (vectors == 3) return TileFor<kMaxVectors - 1>(rows);
    if (vectors == 4) return TileFor<kMaxVectors>(rows);
  }
  return vectors == 1 ? TileFor<1>(rows) : TileFor<2>(rows);
}

// One panel of at most kPanel columns. Rows and depth are cut into near-equal parts, so that no tile is left thin.
inline void PanelProduct(const Left& a, int64_t rows, int64_t depth, const float* b, int64_t b_row, int64_t columns,
                         const Result& c) {
  const int64_t vectors = CeilDiv(columns, kLanes);
  const int64_t tiles = rows <= kMaxRows[vectors] ? 1 : CeilDiv(rows, kMaxRows[vectors]);
  const int64_t parts = std::max<int64_t>(CeilDiv(depth, kMaxDepth), 1);
  TileCall call{a.data, a.row, a.step, b, b_row, 0, c.data, c.row, nullptr, c.accumulate, columns % kLanes};
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t k = part * depth / parts;
    call.depth = (part + 1) * depth / parts - k;
    call.b = b + k * b_row;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t r = tile * rows / tiles, count = (tile + 1) * rows / tiles - r;
      call.a = a.data + r * a.row + k * a.step;
      call.c = c.data + r * c.row;
      call.row_scale = c.row_scale && part == parts - 1 ? c.row_scale + r : nullptr;
      TileFor(count, vectors)(call);
    }
    call.accumulate = true;
  }
}

// B given as rows: element (k, n) at b[k * b_row + n]. Whole vectors of B are read, so its rows must be padded unless
// `columns` is a multiple of kLanes; exactly `columns` numbers of each row of C are written.
inline void RowsProduct(const Left& a, int64_t rows, int64_t depth, const float* b, int64_t b_row, int64_t columns,
                        const Result& c) {
  for (int64_t n = 0; n < columns; n += kPanel) {
    Result panel = c;
    panel.data += n;
    PanelProduct(a, rows, depth, b + n, b_row, std::min(kPanel, columns - n), panel);
  }
}

// B = transpose of the `count` rows that PackTransposed took, restricted to the panels that touch `wanted`. Writes
// whole vectors, columns of C where B has them.
inline void PackedProduct(const Left& a, int64_t rows, int64_t depth, const float* packed, int64_t count, Range wanted,
                          const Result& c) {
  const int64_t padded = RoundUp(count, kLanes), end = RoundUp(wanted.end, kLanes);
  for (int64_t n = wanted.begin / kPanel * kPanel; n < end; n += kPanel) {
    Result panel = c;
    panel.data += n;
    PanelProduct(a, rows, depth, packed + n * depth, std::min(kPanel, padded - n), std::min(kPanel, end - n), panel);
  }
}

}  // namespace attnkit::kernels::attention::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
