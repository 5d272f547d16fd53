// Rows of float32 to rows of bytes with one scale each.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm/int8_rows.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/dispatch.h"
#include "kernels/gemm/int8.h"
#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::gemm::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using namespace attnkit::kernels::HWY_NAMESPACE;

// As integers, magnitudes compare as they do as floats, and NaN is above infinity.
HWY_INLINE float LargestMagnitude(const float* x, int64_t size) {
  const Floats d;
  const hn::RebindToSigned<Floats> di;
  using IntVec = hn::Vec<decltype(di)>;
  IntVec largest[4];
  for (IntVec& slot : largest) slot = hn::Zero(di);
  ForVectors(size, [&](auto access, int64_t i, int slot) ATTNKIT_BODY {
    largest[slot] = hn::Max(largest[slot], hn::BitCast(di, hn::Abs(access.Load(x + i))));
  });
  const IntVec both = hn::Max(hn::Max(largest[0], largest[1]), hn::Max(largest[2], largest[3]));
  const int32_t bits = hn::GetLane(hn::MaxOfLanes(di, both));
  float magnitude;
  std::memcpy(&magnitude, &bits, sizeof(magnitude));
  (void)d;
  return magnitude;
}

// The number that lies nearest, ties to even, for what lies within ±127: a sum of which float32 keeps the whole numbers
// has it in its lowest byte.
template <typename Number>
struct Rounded {
  FloatVec factor;
  hn::Vec<hn::Rebind<Number, Floats>> flip;

  Rounded(float multiplier, Number flipped)
      : factor(hn::Set(Floats(), multiplier)), flip(hn::Set(hn::Rebind<Number, Floats>(), flipped)) {}

  HWY_INLINE auto operator()(FloatVec v) const {
    constexpr float kWhole = 12582912.0f;  // 1.5 · 2²³
    const Floats d;
    const hn::RebindToUnsigned<Floats> du;
    const FloatVec bound = hn::Set(d, 127.0f);
    const FloatVec scaled = hn::Clamp(hn::Mul(v, factor), hn::Neg(bound), bound);
    const auto bits = hn::BitCast(du, hn::Add(scaled, hn::Set(d, kWhole)));
    return hn::Xor(hn::TruncateTo(hn::Rebind<Number, Floats>(), bits), flip);
  }
};

// `size` numbers, then those of zero; only zeros where x is null.
template <typename Number>
void WriteRow(const float* x, int64_t size, int64_t padded, float factor, Number flip, int8_t* to) {
  const Floats d;
  const hn::Rebind<Number, Floats> numbers;
  const Rounded<Number> rounded(factor, flip);
  const int64_t lanes = FloatLanes();
  auto* row = reinterpret_cast<Number*>(to);
  int64_t i = 0;
  for (; x && i + lanes <= size; i += lanes) hn::StoreU(rounded(hn::LoadU(d, x + i)), numbers, row + i);
  if (x && i < size) {
    HWY_ALIGN Number tail[hn::MaxLanes(d)];
    hn::StoreU(rounded(LoadTail(x + i, size - i)), numbers, tail);
    std::copy_n(tail, size - i, row + i);
    i = size;
  }
  std::fill(row + i, row + padded, flip);
}

// Are all numbers finite? x · 0 is 0 for those, and NaN for the others.
bool AllFiniteRow(const float* x, int64_t size) {
  const Floats d;
  FloatSlots sum(0.0f);
  ForVectors(size, [&](auto access, int64_t i, int slot)
                       ATTNKIT_BODY { sum.v[slot] = hn::MulAdd(access.Load(x + i), hn::Zero(d), sum.v[slot]); });
  return sum.Sum() == 0.0f;
}

void QuantizeRowHere(const float* x, int64_t size, int64_t padded, Int8Rows rows, float multiplier, int8_t* to,
                     float* scale) {
  const auto write = [&](const float* from, float factor) {
    if (rows == Int8Rows::kWide) return WriteRow<uint16_t>(from, size, padded, factor, 0, to);
    WriteRow<uint8_t>(from, size, padded, factor, rows == Int8Rows::kUnsigned ? 128 : 0, to);
  };
  const float largest = multiplier > 0.0f ? 0.0f : LargestMagnitude(x, size);
  if (multiplier > 0.0f ? !AllFiniteRow(x, size) : !std::isfinite(largest)) {
    write(nullptr, 0.0f);
    *scale = std::numeric_limits<float>::quiet_NaN();
    return;
  }
  // Below the second number 127 / largest would overflow: such a row is zero.
  const bool tiny = !(largest > 127.0f * std::numeric_limits<float>::min());
  *scale = multiplier > 0.0f ? 1.0f : tiny ? 0.0f : largest / 127.0f;
  write(x, multiplier > 0.0f ? multiplier : tiny ? 0.0f : 127.0f / largest);
}

}  // namespace attnkit::kernels::gemm::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels::gemm {

void QuantizeRow(const float* x, int64_t size, int64_t padded, Int8Rows rows, float multiplier, int8_t* to,
                 float* scale) {
  auto* kernel = ATTNKIT_DISPATCH(QuantizeRowHere);
  kernel(x, size, padded, rows, multiplier, to, scale);
}

}  // namespace attnkit::kernels::gemm
#endif  // HWY_ONCE
