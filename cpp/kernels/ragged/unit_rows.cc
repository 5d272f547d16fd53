// Rows brought to length one, for cosines.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ragged/unit_rows.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include <cmath>

#include "attnkit/kernels/ragged.h"
#include "attnkit/threads.h"
#include "kernels/dispatch.h"
#include "kernels/grain.h"
#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

HWY_INLINE float RowDot(const float* x, const float* y, int64_t size) {
  FloatSlots sum(0.0f);
  ForVectors(size, [&](auto access, int64_t c, int slot)
                       ATTNKIT_BODY { sum.v[slot] = hn::MulAdd(access.Load(x + c), access.Load(y + c), sum.v[slot]); });
  return sum.Sum();
}

void UnitForwardRows(const float* x, int64_t rows, int64_t columns, float eps, float* y, float* norms) {
  for (int64_t r = 0; r < rows; ++r, x += columns, y += columns) {
    norms[r] = std::max(std::sqrt(RowDot(x, x, columns)), eps);
    const FloatVec scale = hn::Set(Floats(), 1.0f / norms[r]);
    ForVectors(columns, [=](auto access, int64_t c, int)
                            ATTNKIT_BODY { access.Store(hn::Mul(access.Load(x + c), scale), y + c); });
  }
}

void UnitBackwardRows(const float* y, const float* norms, const float* dy, int64_t rows, int64_t columns, float eps,
                      float* dx) {
  const Floats d;
  for (int64_t r = 0; r < rows; ++r, y += columns, dy += columns, dx += columns) {
    const FloatVec along = hn::Set(d, norms[r] > eps ? RowDot(y, dy, columns) : 0.0f);
    const FloatVec scale = hn::Set(d, 1.0f / norms[r]);
    ForVectors(columns, [=](auto access, int64_t c, int) ATTNKIT_BODY {
      access.Store(hn::Mul(hn::NegMulAdd(access.Load(y + c), along, access.Load(dy + c)), scale), dx + c);
    });
  }
}

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {

void UnitRowsForward(const float* x, int64_t rows, int64_t columns, float eps, float* y, float* norms) {
  auto* kernel = ATTNKIT_DISPATCH(UnitForwardRows);
  ParallelFor(rows, RowGrain(columns), [=](int64_t begin, int64_t end) {
    kernel(x + begin * columns, end - begin, columns, eps, y + begin * columns, norms + begin);
  });
}

void UnitRowsBackward(const float* y, const float* norms, const float* dy, int64_t rows, int64_t columns, float eps,
                      float* dx) {
  auto* kernel = ATTNKIT_DISPATCH(UnitBackwardRows);
  ParallelFor(rows, RowGrain(columns), [=](int64_t begin, int64_t end) {
    kernel(y + begin * columns, norms + begin, dy + begin * columns, end - begin, columns, eps, dx + begin * columns);
  });
}

}  // namespace attnkit::kernels
#endif
