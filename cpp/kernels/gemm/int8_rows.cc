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

void QuantizeRowHere(const float* x, int64_t size, int64_t padded, bool unsigned_bytes, float multiplier, int8_t* to,
                     float* scale) {
  const Floats d;
  const hn::RebindToSigned<Floats> di;
  const hn::Rebind<int16_t, Floats> d16;
  const hn::Rebind<int8_t, Floats> d8;
  const int64_t lanes = FloatLanes();
  const auto flip = hn::Set(d8, static_cast<int8_t>(unsigned_bytes ? -128 : 0));
  const float largest = LargestMagnitude(x, size);
  // Below the second number 127 / largest would overflow: such a row is zero.
  const bool finite = std::isfinite(largest), tiny = !(largest > 127.0f * std::numeric_limits<float>::min());
  *scale = !finite             ? std::numeric_limits<float>::quiet_NaN()
           : multiplier > 0.0f ? 1.0f
           : tiny              ? 0.0f
                               : largest / 127.0f;
  const FloatVec factor = hn::Set(d, multiplier > 0.0f ? multiplier : finite && !tiny ? 127.0f / largest : 0.0f);
  const FloatVec bound = hn::Set(d, 127.0f);
  const auto bytes_of = [&](FloatVec v) ATTNKIT_BODY {
    const FloatVec scaled = hn::Clamp(hn::Mul(v, factor), hn::Neg(bound), bound);
    const auto rounded = finite ? hn::NearestInt(scaled) : hn::Zero(di);
    return hn::Xor(hn::DemoteTo(d8, hn::DemoteTo(d16, rounded)), flip);
  };
  int64_t i = 0;
  for (; i + lanes <= size; i += lanes) hn::StoreU(bytes_of(hn::LoadU(d, x + i)), d8, to + i);
  if (i < size) {
    HWY_ALIGN int8_t tail[hn::MaxLanes(d)];
    hn::StoreU(bytes_of(LoadTail(x + i, size - i)), d8, tail);
    std::memcpy(to + i, tail, size - i);
  }
  std::fill_n(to + size, padded - size, static_cast<int8_t>(unsigned_bytes ? -128 : 0));
}

}  // namespace attnkit::kernels::gemm::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels::gemm {

void QuantizeRow(const float* x, int64_t size, int64_t padded, bool unsigned_bytes, float multiplier, int8_t* to,
                 float* scale) {
  auto* kernel = ATTNKIT_DISPATCH(QuantizeRowHere);
  kernel(x, size, padded, unsigned_bytes, multiplier, to, scale);
}

}  // namespace attnkit::kernels::gemm
#endif  // HWY_ONCE
