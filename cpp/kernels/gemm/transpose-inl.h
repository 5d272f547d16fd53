// Transposition of 32-bit words, for packing.

#if defined(ATTNKIT_KERNELS_GEMM_TRANSPOSE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTNKIT_KERNELS_GEMM_TRANSPOSE_INL_H_
#undef ATTNKIT_KERNELS_GEMM_TRANSPOSE_INL_H_
#else
#define ATTNKIT_KERNELS_GEMM_TRANSPOSE_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::gemm::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using Vector = hn::Vec<FloatTag>;
constexpr int64_t kLanes = hn::MaxLanes(FloatTag());

#if HWY_TARGET != HWY_SCALAR
// Block b of the result: four numbers at row 4 * b.
HWY_INLINE Vector LoadBlocks(const float* rows, int64_t stride) {
  const FloatTag d;
  Vector v = hn::LoadDup128(d, rows + (kLanes - 4) * stride);
#pragma GCC unroll 4
  for (int64_t lane = kLanes - 8; lane >= 0; lane -= 4) {
    v = hn::IfThenElse(hn::FirstN(d, lane + 4), hn::LoadDup128(d, rows + lane * stride), v);
  }
  return v;
}

// Four columns of kLanes rows become four rows.
HWY_INLINE void TransposeFour(const float* rows, int64_t stride, float* to, int64_t to_stride) {
  const FloatTag d;
  const hn::RepartitionToWide<FloatTag> d2;
  const Vector v0 = LoadBlocks(rows, stride), v1 = LoadBlocks(rows + stride, stride);
  const Vector v2 = LoadBlocks(rows + 2 * stride, stride), v3 = LoadBlocks(rows + 3 * stride, stride);
  const auto t0 = hn::BitCast(d2, hn::InterleaveLower(d, v0, v1)), t1 = hn::BitCast(d2, hn::InterleaveLower(d, v2, v3));
  const auto t2 = hn::BitCast(d2, hn::InterleaveUpper(d, v0, v1)), t3 = hn::BitCast(d2, hn::InterleaveUpper(d, v2, v3));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(d2, t0, t1)), d, to);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(d2, t0, t1)), d, to + to_stride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(d2, t2, t3)), d, to + 2 * to_stride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(d2, t2, t3)), d, to + 3 * to_stride);
}
#endif

constexpr int64_t kLineWords = 16;

// Word j of row r goes to to[j * to_stride + r].
inline void Transpose(const float* from, int64_t stride, int64_t rows, int64_t columns, float* to, int64_t to_stride) {
  int64_t r = 0;
#if HWY_TARGET != HWY_SCALAR
  // The next rows are fetched ahead: rows that lie far apart are beyond what the hardware foresees.
  for (; r + kLanes <= rows; r += kLanes) {
    int64_t j = 0;
    for (; j + 4 <= columns; j += 4) {
      if (j % kLineWords == 0 && r + 2 * kLanes <= rows) {
        for (int64_t i = r + kLanes; i < r + 2 * kLanes; ++i) __builtin_prefetch(from + i * stride + j);
      }
      TransposeFour(from + r * stride + j, stride, to + j * to_stride + r, to_stride);
    }
    for (; j < columns; ++j) {
      for (int64_t i = r; i < r + kLanes; ++i) to[j * to_stride + i] = from[i * stride + j];
    }
  }
#endif
  for (; r < rows; ++r) {
    for (int64_t j = 0; j < columns; ++j) to[j * to_stride + r] = from[r * stride + j];
  }
}

}  // namespace attnkit::kernels::gemm::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
