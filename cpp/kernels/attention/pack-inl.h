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
template <class V>
HWY_INLINE void TransposeBlocks(V& v0, V& v1, V& v2, V& v3) {
  const hn::DFromV<V> d;
  const hn::RepartitionToWide<hn::DFromV<V>> d2;
  const auto t0 = hn::BitCast(d2, hn::InterleaveLower(d, v0, v1)), t1 = hn::BitCast(d2, hn::InterleaveLower(d, v2, v3));
  const auto t2 = hn::BitCast(d2, hn::InterleaveUpper(d, v0, v1)), t3 = hn::BitCast(d2, hn::InterleaveUpper(d, v2, v3));
  v0 = hn::BitCast(d, hn::InterleaveLower(d2, t0, t1));
  v1 = hn::BitCast(d, hn::InterleaveUpper(d2, t0, t1));
  v2 = hn::BitCast(d, hn::InterleaveLower(d2, t2, t3));
  v3 = hn::BitCast(d, hn::InterleaveUpper(d2, t2, t3));
}

// Block b of the result: four numbers at from + 4 * b * stride.
HWY_INLINE Vector LoadBlocks(const float* from, int64_t stride) {
  const FloatTag d;
  Vector v = hn::LoadDup128(d, from + (kLanes - 4) * stride);
#pragma GCC unroll 4
  for (int64_t block = kLanes / 4 - 2; block >= 0; --block) {
    v = hn::IfThenElse(hn::FirstN(d, 4 * (block + 1)), hn::LoadDup128(d, from + 4 * block * stride), v);
  }
  return v;
}
#endif

// kLanes rows to columns: number k of row r goes to to[k * to_stride + r].
HWY_INLINE void TransposeGroup(const float* rows, int64_t stride, int64_t depth, float* to, int64_t to_stride) {
  int64_t k = 0;
#if HWY_TARGET != HWY_SCALAR
  const FloatTag d;
  for (; k + 4 <= depth; k += 4, to += 4 * to_stride) {
    Vector v0 = LoadBlocks(rows + k, stride), v1 = LoadBlocks(rows + stride + k, stride);
    Vector v2 = LoadBlocks(rows + 2 * stride + k, stride), v3 = LoadBlocks(rows + 3 * stride + k, stride);
    TransposeBlocks(v0, v1, v2, v3);
    hn::StoreU(v0, d, to);
    hn::StoreU(v1, d, to + to_stride);
    hn::StoreU(v2, d, to + 2 * to_stride);
    hn::StoreU(v3, d, to + 3 * to_stride);
  }
#endif
  for (; k < depth; ++k, to += to_stride) {
    for (int64_t r = 0; r < kLanes; ++r) to[r] = rows[r * stride + k];
  }
}

// The same of `count` < kLanes rows; the columns after them are zero.
inline void TransposePart(const float* rows, int64_t stride, int64_t count, int64_t depth, float* to,
                          int64_t to_stride) {
  const FloatTag d;
  for (int64_t k = 0; k < depth; ++k) hn::StoreU(hn::Zero(d), d, to + k * to_stride);
  int64_t r = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::CappedTag<float, 4> d4;
  for (; r < count; r += 4) {
    const float* row[4];
    for (int64_t t = 0; t < 4; ++t) row[t] = rows + std::min(r + t, count - 1) * stride;
    for (int64_t k = 0; k + 4 <= depth; k += 4) {
      auto v0 = hn::LoadU(d4, row[0] + k), v1 = hn::LoadU(d4, row[1] + k);
      auto v2 = hn::LoadU(d4, row[2] + k), v3 = hn::LoadU(d4, row[3] + k);
      TransposeBlocks(v0, v1, v2, v3);
      float* column = to + k * to_stride + r;
      hn::StoreU(v0, d4, column);
      hn::StoreU(v1, d4, column + to_stride);
      hn::StoreU(v2, d4, column + 2 * to_stride);
      hn::StoreU(v3, d4, column + 3 * to_stride);
    }
  }
#endif
  for (int64_t k = kLanes > 1 ? depth / 4 * 4 : 0; k < depth; ++k) {
    for (r = 0; r < count; ++r) to[k * to_stride + r] = rows[r * stride + k];
  }
}

// Transposes `count` rows of `depth` numbers into panels of kPanel columns (the last may be narrower), each [depth,
// width]. Columns past `count` hold numbers that whoever reads the product ignores.
inline void PackTransposed(const float* rows, int64_t stride, int64_t count, int64_t depth, float* packed) {
  const int64_t padded = RoundUp(count, kLanes);
  for (int64_t n = 0; n < padded; n += kLanes) {
    const int64_t panel = n / kPanel * kPanel, width = std::min(kPanel, padded - panel);
    const float* group = rows + n * stride;
    float* to = packed + panel * depth + (n - panel);
    if (n + kLanes <= count) {
      TransposeGroup(group, stride, depth, to, width);
    } else {
      TransposePart(group, stride, count - n, depth, to, width);
    }
  }
}

// Asks for `count` rows of a head that the next task reads or writes: in a packed batch they lie far apart, which the
// hardware does not foresee. Of long sequences it would be too much at once, and matters less. Always inline: GCC takes
// a call of what only prefetches for one without effect, and drops it.
template <int kWrites>
HWY_INLINE void PrefetchHead(const float* data, const HeadsLayout& layout, const int32_t* offsets, int64_t b, int64_t h,
                             int64_t count, int64_t columns) {
  constexpr int64_t kMostRows = 128, kLineNumbers = 16;
  if (count > kMostRows || layout.row_stride == columns) return;
  const float* rows = HeadRows(data, layout, offsets, b, h);
  for (int64_t r = 0; r < count; ++r) {
    for (int64_t n = 0; n < columns; n += kLineNumbers) __builtin_prefetch(rows + r * layout.row_stride + n, kWrites);
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
