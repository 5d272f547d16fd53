// float32 to bfloat16, as bits, and back.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/bfloat16.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include <cstring>

#include "attnkit/kernels/memory.h"
#include "attnkit/threads.h"
#include "kernels/bfloat16.h"
#include "kernels/dispatch.h"
#include "kernels/grain.h"
#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

using Bits = hn::RebindToUnsigned<Floats>;
using Halves = hn::Rebind<uint16_t, Floats>;

// To the nearest, ties to even. NaN becomes a quiet one: its payload may lie in the lower half alone.
void RoundRange(const float* x, int64_t size, uint16_t* out) {
  const Bits d;
  const hn::RebindToSigned<Floats> signs;
  const int64_t lanes = FloatLanes();
  int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    const auto bits = hn::BitCast(d, hn::LoadU(Floats(), x + i)), upper = hn::ShiftRight<16>(bits);
    const auto odd = hn::And(upper, hn::Set(d, 1u));
    const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(d, 0x7fffu))));
    const auto size_bits = hn::BitCast(signs, hn::And(bits, hn::Set(d, 0x7fffffffu)));
    const auto is_nan = hn::RebindMask(d, hn::Gt(size_bits, hn::Set(signs, 0x7f800000)));
    const auto chosen = hn::IfThenElse(is_nan, hn::Or(upper, hn::Set(d, 0x40u)), rounded);
    hn::StoreU(hn::DemoteTo(Halves(), hn::BitCast(signs, chosen)), Halves(), out + i);
  }
  for (; i < size; ++i) out[i] = RoundedBits(x[i]);
}

void WidenRange(const uint16_t* x, int64_t size, float* out) {
  const int64_t lanes = FloatLanes();
  int64_t i = 0;
  for (; i + lanes <= size; i += lanes) {
    const auto bits = hn::ShiftLeft<16>(hn::PromoteTo(Bits(), hn::LoadU(Halves(), x + i)));
    hn::StoreU(hn::BitCast(Floats(), bits), Floats(), out + i);
  }
  for (; i < size; ++i) out[i] = Widened(x[i]);
}

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {
namespace {

constexpr int64_t kMoved = 4 * kGrainElements;  // as in memory.cc

}  // namespace

void Round(const float* x, int64_t size, uint16_t* out) {
  auto* kernel = ATTNKIT_DISPATCH(RoundRange);
  ParallelFor(size, kMoved, [=](int64_t begin, int64_t end) { kernel(x + begin, end - begin, out + begin); });
}

void Widen(const uint16_t* x, int64_t size, float* out) {
  auto* kernel = ATTNKIT_DISPATCH(WidenRange);
  ParallelFor(size, kMoved, [=](int64_t begin, int64_t end) { kernel(x + begin, end - begin, out + begin); });
}

}  // namespace attnkit::kernels
#endif
