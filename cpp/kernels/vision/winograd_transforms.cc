#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/vision/winograd_transforms.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include <utility>

#include "kernels/dispatch.h"
#include "kernels/vector-inl.h"
#include "kernels/vision/winograd.h"
#include "kernels/vision/winograd_matrices.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {
using vision::FilterMatrix;
using vision::InputMatrix;
using vision::OutputMatrix;
using vision::Square;
using vision::Transposed;
using vision::WinogradTransform;

// sum + a number of the matrix times x; the numbers are known to the compiler, so that zeros cost nothing.
template <class Matrix, int kRow, int kColumn>
HWY_INLINE FloatVec AddTerm(FloatVec sum, FloatVec x) {
  constexpr float kFactor = Matrix::At(kRow, kColumn);
  if constexpr (kFactor == 0.0f) return sum;
  if constexpr (kFactor == 1.0f) return hn::Add(sum, x);
  if constexpr (kFactor == -1.0f) return hn::Sub(sum, x);
  return hn::MulAdd(hn::Set(Floats(), kFactor), x, sum);
}

template <class Matrix, int kRow, size_t... kColumn>
HWY_INLINE FloatVec RowTimes(const FloatVec* x, std::index_sequence<kColumn...>) {
  FloatVec sum = hn::Zero(Floats());
  ((sum = AddTerm<Matrix, kRow, static_cast<int>(kColumn)>(sum, x[kColumn])), ...);
  return sum;
}

// y = Matrix · x.
template <class Matrix, size_t... kRow>
HWY_INLINE void Times(const FloatVec* x, FloatVec* y, std::index_sequence<kRow...>) {
  ((y[kRow] = RowTimes<Matrix, static_cast<int>(kRow)>(x, std::make_index_sequence<Matrix::kColumns>())), ...);
}

// to = Matrix · from · Matrixᵀ for each channel, and the bias of the channel.
template <class Matrix>
void TransformBy(const Square<const float>& from, const Square<float>& to, int64_t channels, const float* bias) {
  constexpr int kFrom = Matrix::kColumns, kTo = Matrix::kRows;
  const auto rows = std::make_index_sequence<kTo>();
  ForVectors<1>(channels, [=](auto access, int64_t i, int) ATTNKIT_BODY {
    FloatVec half[kFrom][kTo];  // by columns
#pragma GCC unroll 6
    for (int column = 0; column < kFrom; ++column) {
      FloatVec x[kFrom];
#pragma GCC unroll 6
      for (int row = 0; row < kFrom; ++row) x[row] = access.Load(from.data + row * from.row + column * from.pixel + i);
      Times<Matrix>(x, half[column], rows);
    }
    const FloatVec added = bias ? access.Load(bias + i) : hn::Zero(Floats());
#pragma GCC unroll 6
    for (int row = 0; row < kTo; ++row) {
      FloatVec x[kFrom], y[kTo];
#pragma GCC unroll 6
      for (int column = 0; column < kFrom; ++column) x[column] = half[column][row];
      Times<Matrix>(x, y, rows);
#pragma GCC unroll 6
      for (int column = 0; column < kTo; ++column) {
        access.Store(hn::Add(y[column], added), to.data + row * to.row + column * to.pixel + i);
      }
    }
  });
}

void TransformHere(WinogradTransform transform, const Square<const float>& from, const Square<float>& to,
                   int64_t channels, const float* bias) {
  switch (transform) {
    case WinogradTransform::kInput: return TransformBy<InputMatrix>(from, to, channels, bias);
    case WinogradTransform::kFilter: return TransformBy<FilterMatrix>(from, to, channels, bias);
    case WinogradTransform::kOutput: return TransformBy<OutputMatrix>(from, to, channels, bias);
    case WinogradTransform::kOutputGradient: return TransformBy<Transposed<OutputMatrix>>(from, to, channels, bias);
    case WinogradTransform::kFilterGradient: return TransformBy<Transposed<FilterMatrix>>(from, to, channels, bias);
  }
}

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels::vision {

void Transform(WinogradTransform transform, const Square<const float>& from, const Square<float>& to, int64_t channels,
               const float* bias) {
  auto* here = ATTNKIT_DISPATCH(TransformHere);
  here(transform, from, to, channels, bias);
}

}  // namespace attnkit::kernels::vision
#endif  // HWY_ONCE
