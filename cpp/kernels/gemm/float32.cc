// float32 multiply-adds on every instruction set; also what bf16 falls back to, on inputs rounded while packing.
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm/float32.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/gemm/kernel.h"
#include "kernels/gemm/transpose-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::gemm::HWY_NAMESPACE {

struct FloatOps {
  using Vector = HWY_NAMESPACE::Vector;
  static constexpr int kLanes = HWY_NAMESPACE::kLanes;

  static HWY_INLINE Vector Zero() { return hn::Zero(FloatTag()); }
  static HWY_INLINE Vector Load(const float* from) { return hn::LoadU(FloatTag(), from); }
  static HWY_INLINE void Store(Vector v, float* to) { hn::StoreU(v, FloatTag(), to); }
  static HWY_INLINE Vector Broadcast(const float* from) { return hn::Set(FloatTag(), *from); }
  static HWY_INLINE Vector MulAdd(Vector a, Vector b, Vector c) { return hn::MulAdd(a, b, c); }

  // The first n lanes, the others zero; no memory past them is touched.
  static HWY_INLINE Vector LoadTail(const float* from, int64_t n) {
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
    return hn::MaskedLoad(hn::FirstN(FloatTag(), n), FloatTag(), from);
#else
    HWY_ALIGN float lanes[kLanes] = {};
    std::memcpy(lanes, from, n * sizeof(float));
    return hn::Load(FloatTag(), lanes);
#endif
  }
  static HWY_INLINE void StoreTail(Vector v, float* to, int64_t n) {
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
    hn::BlendedStore(v, hn::FirstN(FloatTag(), n), FloatTag(), to);
#else
    HWY_ALIGN float lanes[kLanes];
    hn::Store(v, FloatTag(), lanes);
    std::memcpy(to, lanes, n * sizeof(float));
#endif
  }
};

// 32 registers hold 8 x 3 or 6 x 4 vectors of C, 16 hold 6 x 2, with room for the vectors of B and a broadcast.
#if (HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3) || HWY_ARCH_ARM_A64
struct TallOps : FloatOps {
  static constexpr int kRows = 8, kVectors = 3;
};
struct WideOps : FloatOps {
  static constexpr int kRows = 6, kVectors = 4;
};
#else
struct TallOps : FloatOps {
  static constexpr int kRows = 6, kVectors = 2;
};
using WideOps = TallOps;
#endif

#include "kernels/gemm/tile.inc"

// To the nearest bf16, ties to even; NaN stays NaN.
HWY_INLINE Vector RoundToBFloat16(Vector x) {
  const FloatTag d;
  const hn::RebindToUnsigned<FloatTag> du;
  const auto bits = hn::BitCast(du, x);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1u));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7FFFu)));
  const auto upper = hn::BitCast(d, hn::And(rounded, hn::Set(du, 0xFFFF0000u)));
  return hn::IfThenElse(hn::Eq(x, x), upper, x);
}

inline void RoundRow(float* row, int64_t size) {
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) FloatOps::Store(RoundToBFloat16(FloatOps::Load(row + i)), row + i);
  if (i < size) FloatOps::StoreTail(RoundToBFloat16(FloatOps::LoadTail(row + i, size - i)), row + i, size - i);
}

inline void CopyRow(const float* from, int64_t step, int64_t size, float* to) {
  if (step != 1) {
    for (int64_t i = 0; i < size; ++i) to[i] = from[i * step];
    return;
  }
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) FloatOps::Store(FloatOps::Load(from + i), to + i);
  if (i < size) FloatOps::StoreTail(FloatOps::LoadTail(from + i, size - i), to + i, size - i);
}

// rows x columns of `from` as rows of `to`.
inline void CopyMatrix(const MatrixView& from, int64_t rows, int64_t columns, float* to, int64_t to_row) {
  if (from.row_stride == 1 && from.column_stride != 1) {
    Transpose(from.data, from.column_stride, columns, rows, to, to_row);
  } else {
    for (int64_t r = 0; r < rows; ++r) CopyRow(from.at(r, 0), from.column_stride, columns, to + r * to_row);
  }
}

template <bool kRound>
void PackA(const MatrixView& a, int64_t rows, int64_t depth, int64_t, float* to, int64_t to_row) {
  CopyMatrix(a, rows, depth, to, to_row);
  for (int64_t r = 0; kRound && r < rows; ++r) RoundRow(to + r * to_row, depth);
}

template <bool kRound>
void PackB(const MatrixView& b, int64_t depth, int64_t, int64_t columns, int64_t width, float* to) {
  CopyMatrix(b, depth, columns, to, width);
  for (int64_t k = 0; columns < width && k < depth; ++k)
    std::fill(to + k * width + columns, to + (k + 1) * width, 0.0f);
  if (kRound) RoundRow(to, depth * width);
}

template <class Ops, bool kRound>
const Kernel& MakeKernel() {
  static constexpr Kernel kKernel = {
      Ops::kRows,     Ops::kVectors * kLanes, kLanes,  1,      kVectorDepthBlock, 1, !kRound, &TileRow<Ops>,
      &PackA<kRound>, &PackB<kRound>,         nullptr, nullptr};
  return kKernel;
}

template <bool kRound>
const Kernel& ChooseKernel(int64_t columns) {
  return SuitsWide<TallOps, WideOps>(columns) ? MakeKernel<WideOps, kRound>() : MakeKernel<TallOps, kRound>();
}

const Kernel& ChooseFloat32Kernel(int64_t columns) { return ChooseKernel<false>(columns); }
const Kernel& ChooseRoundedKernel(int64_t columns) { return ChooseKernel<true>(columns); }

}  // namespace attnkit::kernels::gemm::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels::gemm {

const Kernel& Float32Kernel(int64_t columns) {
  auto* choose = ATTNKIT_DISPATCH(ChooseFloat32Kernel);
  return choose(columns);
}

const Kernel& RoundedKernel(int64_t columns) {
  auto* choose = ATTNKIT_DISPATCH(ChooseRoundedKernel);
  return choose(columns);
}

}  // namespace attnkit::kernels::gemm
#endif  // HWY_ONCE
