// Rows into the layouts that the products read: transposed panels, and rows padded to whole vectors.

#if defined(ATTNKIT_KERNELS_ATTENTION_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTNKIT_KERNELS_ATTENTION_PACK_INL_H_
#undef ATTNKIT_KERNELS_ATTENTION_PACK_INL_H_
#else
#define ATTNKIT_KERNELS_ATTENTION_PACK_INL_H_
#endif

#include "kernels/attention/product-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::attention::HWY_NAMESPACE {

#if HWY_TARGET != HWY_SCALAR
// In each 128-bit block, the 4x4 transpose of the four vectors.
HWY_INLINE void TransposeBlocks(Vector& v0, Vector& v1, Vector& v2, Vector& v3) {
  const FloatTag d;
  const hn::RepartitionToWide<FloatTag> d2;
  const auto t0 = hn::BitCast(d2, hn::InterleaveLower(d, v0, v1)), t1 = hn::BitCast(d2, hn::InterleaveLower(d, v2, v3));
  const auto t2 = hn::BitCast(d2, hn::InterleaveUpper(d, v0, v1)), t3 = hn::BitCast(d2, hn::InterleaveUpper(d, v2, v3));
  v0 = hn::BitCast(d, hn::InterleaveLower(d2, t0, t1));
  v1 = hn::BitCast(d, hn::InterleaveUpper(d2, t0, t1));
  v2 = hn::BitCast(d, hn::InterleaveLower(d2, t2, t3));
  v3 = hn::BitCast(d, hn::InterleaveUpper(d2, t2, t3));
}

// Block b of the result: four numbers at rows[4 * b] + offset.
HWY_INLINE Vector LoadBlocks(const float* const* rows, int64_t offset) {
  const FloatTag d;
  Vector v = hn::LoadDup128(d, rows[kLanes - 4] + offset);
#pragma GCC unroll 4
  for (int64_t block = kLanes / 4 - 2; block >= 0; --block) {
    v = hn::IfThenElse(hn::FirstN(d, 4 * (block + 1)), hn::LoadDup128(d, rows[4 * block] + offset), v);
  }
  return v;
}
#endif

// kLanes rows to columns: number k of row r goes to to[k * stride + r].
HWY_INLINE void TransposeGroup(const float* const* rows, int64_t depth, float* to, int64_t stride) {
  int64_t k = 0;
#if HWY_TARGET != HWY_SCALAR
  const FloatTag d;
  for (; k + 4 <= depth; k += 4, to += 4 * stride) {
    Vector v0 = LoadBlocks(rows, k), v1 = LoadBlocks(rows + 1, k);
    Vector v2 = LoadBlocks(rows + 2, k), v3 = LoadBlocks(rows + 3, k);
    TransposeBlocks(v0, v1, v2, v3);
    hn::StoreU(v0, d, to);
    hn::StoreU(v1, d, to + stride);
    hn::StoreU(v2, d, to + 2 * stride);
    hn::StoreU(v3, d, to + 3 * stride);
  }
#endif
  for (; k < depth; ++k, to += stride) {
    for (int64_t r = 0; r < kLanes; ++r) to[r] = rows[r][k];
  }
}

// Transposes `count` rows of `depth` numbers into panels of kPanel columns (the last may be narrower), each [depth, width].
// Columns past `count` repeat the last row: whoever reads the product ignores them.
inline void PackTransposed(const float* rows, int64_t stride, int64_t count, int64_t depth, float* packed) {
  const int64_t padded = RoundUp(count, kLanes);
  for (int64_t n = 0; n < padded; n += kLanes) {
    const int64_t panel = n / kPanel * kPanel, width = std::min(kPanel, padded - panel);
    const float* group[kLanes + 3] = {};  // LoadBlocks looks a few entries ahead of the row it starts from
    for (int64_t r = 0; r < kLanes; ++r) group[r] = rows + std::min(n + r, count - 1) * stride;
    TransposeGroup(group, depth, packed + panel * depth + (n - panel), width);
  }
}

// Rows as the right side of RowsProduct.
struct RowsView {
  const float* data;
  int64_t stride;
};

// The rows themselves where whole vectors can be read from them, else a padded copy. A copy also pays when many rows of
// the left side will read rows that lie far apart, as the heads of a packed batch do.
inline RowsView WholeVectors(const float* rows, int64_t stride, int64_t count, int64_t columns, int64_t uses,
                             float* scratch) {
  constexpr int64_t kManyUses = 64;
  const int64_t padded = RoundUp(columns, kLanes);
  if (columns == padded && (uses < kManyUses || stride == columns)) return {rows, stride};
  const FloatTag d;
  for (int64_t r = 0; r < count; ++r) {
    const float* from = rows + r * stride;
    float* to = scratch + r * padded;
    int64_t n = 0;
    for (; n + kLanes <= columns; n += kLanes) hn::StoreU(hn::LoadU(d, from + n), d, to + n);
    if (n < columns) hn::StoreU(LoadTail(from + n, columns - n), d, to + n);
  }
  return {scratch, padded};
}

}  // namespace attnkit::kernels::attention::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
