// What a row does not see gives it nothing, whatever it holds. In a product its share is zero, and zero times NaN is
// NaN: so rows that are not finite are taken out of the product and added to those rows alone that have a share.

#if defined(ATTNKIT_KERNELS_ATTENTION_HIDDEN_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTNKIT_KERNELS_ATTENTION_HIDDEN_INL_H_
#undef ATTNKIT_KERNELS_ATTENTION_HIDDEN_INL_H_
#else
#define ATTNKIT_KERNELS_ATTENTION_HIDDEN_INL_H_
#endif

#include <vector>

#include "attnkit/allocator.h"
#include "kernels/attention/pack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::attention::HWY_NAMESPACE {

// Four rows at a time, so that sums do not wait for each other; the last four may repeat the last row.
inline bool AllFinite(const RowsView& rows, int64_t count, int64_t columns) {
  const FloatTag d;
  const Vector zero = hn::Zero(d);
  Vector sum[4] = {zero, zero, zero, zero};  // 0 · x is NaN for an x that is not finite
  for (int64_t r = 0; r < count; r += 4) {
    const float* row[4];
#pragma GCC unroll 4
    for (int64_t t = 0; t < 4; ++t) row[t] = rows.data + std::min(r + t, count - 1) * rows.stride;
    int64_t n = 0;
    for (; n + kLanes <= columns; n += kLanes) {
#pragma GCC unroll 4
      for (int t = 0; t < 4; ++t) sum[t] = hn::MulAdd(hn::LoadU(d, row[t] + n), zero, sum[t]);
    }
    if (n < columns) {
#pragma GCC unroll 4
      for (int t = 0; t < 4; ++t) sum[t] = hn::MulAdd(LoadTail(row[t] + n, columns - n), zero, sum[t]);
    }
  }
  return hn::AllTrue(d, hn::Eq(hn::Add(hn::Add(sum[0], sum[1]), hn::Add(sum[2], sum[3])), zero));
}

// The right-hand side of a product.
class FiniteRows {
 public:
  // `rows` themselves if all are finite, else a copy with zeros in place of those that are not.
  RowsView Of(const RowsView& rows, int64_t count, int64_t columns) {
    left_out_.clear();
    if (AllFinite(rows, count, columns)) return rows;
    rows_ = rows, columns_ = columns;
    const int64_t padded = RoundUp(columns, kLanes);
    copy_ = Buffer<float>(count * padded);
    for (int64_t r = 0; r < count; ++r) {
      const float* row = rows.data + r * rows.stride;
      float* to = copy_.data() + r * padded;
      std::fill_n(to, padded, 0.0f);
      if (AllFinite({row, rows.stride}, 1, columns)) {
        std::copy_n(row, columns, to);
      } else {
        left_out_.push_back(r);
      }
    }
    return {copy_.data(), padded};
  }

  // After the product of A with rows `depth` of the copy: c += the rows that were left out, by their shares in A.
  void Add(const Left& a, int64_t rows, Range depth, const Result& c) const {
    for (const int64_t k : left_out_) {
      if (k < depth.begin || k >= depth.end) continue;
      for (int64_t r = 0; r < rows; ++r) {
        const float share = a.data[r * a.row + (k - depth.begin) * a.step];
        if (share != 0.0f)
          AddScaled(rows_.data + k * rows_.stride, c.row_scale ? share * c.row_scale[r] : share, c.data + r * c.row);
      }
    }
  }

 private:
  void AddScaled(const float* from, float factor, float* to) const {
    for (int64_t n = 0; n < columns_; ++n) to[n] += factor * from[n];
  }

  RowsView rows_{};
  int64_t columns_ = 0;
  Buffer<float> copy_;
  std::vector<int64_t> left_out_;
};

}  // namespace attnkit::kernels::attention::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
