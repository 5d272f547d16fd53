// Arithmetic on flat arrays.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include "attnkit/kernels/elementwise.h"
#include "attnkit/threads.h"
#include "kernels/dispatch.h"
#include "kernels/grain.h"
#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

template <class Operation>
HWY_INLINE void Map(const float* x, const float* y, int64_t size, float* out, const Operation& operation) {
  ForVectors(size, [=](auto access, int64_t i, int)
                       ATTNKIT_BODY { access.Store(operation(access.Load(x + i), access.Load(y + i)), out + i); });
}

void AddRange(const float* x, const float* y, int64_t size, float* out) {
  Map(x, y, size, out, [](FloatVec a, FloatVec b) ATTNKIT_BODY { return hn::Add(a, b); });
}

void SubtractRange(const float* x, const float* y, int64_t size, float* out) {
  Map(x, y, size, out, [](FloatVec a, FloatVec b) ATTNKIT_BODY { return hn::Sub(a, b); });
}

void MultiplyRange(const float* x, const float* y, int64_t size, float* out) {
  Map(x, y, size, out, [](FloatVec a, FloatVec b) ATTNKIT_BODY { return hn::Mul(a, b); });
}

void DivideRange(const float* x, const float* y, int64_t size, float* out) {
  Map(x, y, size, out, [](FloatVec a, FloatVec b) ATTNKIT_BODY { return hn::Div(a, b); });
}

void AxpyRange(float a, const float* x, int64_t size, float* y) {
  const FloatVec scale = hn::Set(Floats(), a);
  Map(x, y, size, y, [=](FloatVec xv, FloatVec yv) ATTNKIT_BODY { return hn::MulAdd(scale, xv, yv); });
}

void ScaleRange(const float* x, float a, float b, int64_t size, float* out) {
  const FloatVec scale = hn::Set(Floats(), a), offset = hn::Set(Floats(), b);
  ForVectors(size, [=](auto access, int64_t i, int)
                       ATTNKIT_BODY { access.Store(hn::MulAdd(scale, access.Load(x + i), offset), out + i); });
}

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {
namespace {

constexpr int64_t kGrain = 2 * kGrainElements;

using BinaryRange = void(const float*, const float*, int64_t, float*);

void RunBinary(BinaryRange* kernel, const float* x, const float* y, int64_t size, float* out) {
  ParallelFor(size, kGrain,
              [=](int64_t begin, int64_t end) { kernel(x + begin, y + begin, end - begin, out + begin); });
}

}  // namespace

void Add(const float* x, const float* y, int64_t size, float* out) {
  RunBinary(ATTNKIT_DISPATCH(AddRange), x, y, size, out);
}

void Subtract(const float* x, const float* y, int64_t size, float* out) {
  RunBinary(ATTNKIT_DISPATCH(SubtractRange), x, y, size, out);
}

void Multiply(const float* x, const float* y, int64_t size, float* out) {
  RunBinary(ATTNKIT_DISPATCH(MultiplyRange), x, y, size, out);
}

void Divide(const float* x, const float* y, int64_t size, float* out) {
  RunBinary(ATTNKIT_DISPATCH(DivideRange), x, y, size, out);
}

void Axpy(float a, const float* x, int64_t size, float* y) {
  auto* kernel = ATTNKIT_DISPATCH(AxpyRange);
  ParallelFor(size, kGrain, [=](int64_t begin, int64_t end) { kernel(a, x + begin, end - begin, y + begin); });
}

void Scale(const float* x, float a, float b, int64_t size, float* out) {
  auto* kernel = ATTNKIT_DISPATCH(ScaleRange);
  ParallelFor(size, kGrain, [=](int64_t begin, int64_t end) { kernel(x + begin, a, b, end - begin, out + begin); });
}

void ScaleBy(const float* x, const float* a, int64_t size, float* out) {
  if (*a == 1.0f && x == out) return;
  Scale(x, *a, 0.0f, size, out);
}

void ScaleRows(const float* x, const float* a, int64_t rows, int64_t columns, float* out) {
  auto* kernel = ATTNKIT_DISPATCH(ScaleRange);
  ParallelFor(rows, RowGrain(columns), [=](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) kernel(x + r * columns, a[r], 0.0f, columns, out + r * columns);
  });
}

}  // namespace attnkit::kernels
#endif
