// Elementary functions and activations on vectors, for inclusion into Highway sources.
//
// All are polynomials fitted for least relative error; the errors given are the largest found over all floats, with
// fused multiply-adds. NaN gives NaN, infinities give the limits. Results below 1e-36 may be zero.

#if defined(ATTNKIT_KERNELS_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTNKIT_KERNELS_MATH_INL_H_
#undef ATTNKIT_KERNELS_MATH_INL_H_
#else
#define ATTNKIT_KERNELS_MATH_INL_H_
#endif

#include <limits>

#include "attnkit/kernels/gemm.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// c0 + x * (c1 + x * (c2 + ...))
template <class D, class V>
HWY_INLINE V Polynomial(D d, V, float c0) {
  return hn::Set(d, c0);
}
template <class D, class V, class... Rest>
HWY_INLINE V Polynomial(D d, V x, float c0, Rest... rest) {
  return hn::MulAdd(Polynomial(d, x, rest...), x, hn::Set(d, c0));
}

// Bounds that let NaN through, as x86's minimum of a bound and NaN does; other minima may return the bound.
template <class D, class V>
HWY_INLINE V AtMost(D d, V x, float bound) {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR
  return hn::Min(hn::Set(d, bound), x);
#else
  return hn::IfThenElse(hn::Gt(x, hn::Set(d, bound)), hn::Set(d, bound), x);
#endif
}
template <class D, class V>
HWY_INLINE V AtLeast(D d, V x, float bound) {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_EMU128 && HWY_TARGET != HWY_SCALAR
  return hn::Max(hn::Set(d, bound), x);
#else
  return hn::IfThenElse(hn::Lt(x, hn::Set(d, bound)), hn::Set(d, bound), x);
#endif
}

// Adding 1.5 * 2^23 rounds to an integer n and leaves it in the low bits of the sum.
constexpr float kRoundingShift = 12582912.0f;
constexpr float kLog2E = 1.44269504f;
constexpr float kLn2High = 0.693145752f, kLn2Low = 1.42860677e-6f;  // the high part has 15 bits: n * kLn2High is exact

// 2^n for integers n in [-126, 127], given n + kRoundingShift; 0 for n = -127.
template <class D, class V>
HWY_INLINE V PowerOfTwo(D d, V shifted) {
  const hn::RebindToSigned<D> di;
  return hn::BitCast(d, hn::Add(hn::ShiftLeft<23>(hn::BitCast(di, shifted)), hn::Set(di, 127 << 23)));
}

#if HWY_TARGET <= HWY_AVX3
HWY_INLINE hn::Vec512<float> ScaleByPower(hn::Vec512<float> x, hn::Vec512<float> n) {
  return hn::Vec512<float>{_mm512_scalef_ps(x.raw, n.raw)};
}
HWY_INLINE hn::Vec256<float> ScaleByPower(hn::Vec256<float> x, hn::Vec256<float> n) {
  return hn::Vec256<float>{_mm256_scalef_ps(x.raw, n.raw)};
}
template <size_t kLanes>
HWY_INLINE hn::Vec128<float, kLanes> ScaleByPower(hn::Vec128<float, kLanes> x, hn::Vec128<float, kLanes> n) {
  return hn::Vec128<float, kLanes>{_mm_scalef_ps(x.raw, n.raw)};
}
#endif

// e^x, 1 ulp. AVX-512 gives subnormal results; elsewhere results under 1.7e-38 (x < -87) are zero.
template <class D, class V>
HWY_INLINE V FastExp(D d, V x) {
#if HWY_TARGET <= HWY_AVX3
  x = AtLeast(d, AtMost(d, x, 89.0f), -105.0f);
#else
  x = AtLeast(d, AtMost(d, x, 89.0f), -87.6f);
#endif
  const V shifted = hn::MulAdd(x, hn::Set(d, kLog2E), hn::Set(d, kRoundingShift));
  const V n = hn::Sub(shifted, hn::Set(d, kRoundingShift));
  const V r = hn::NegMulAdd(n, hn::Set(d, kLn2Low), hn::NegMulAdd(n, hn::Set(d, kLn2High), x));
#if HWY_TARGET <= HWY_AVX3
  const V p = Polynomial(d, r, 1.0f, 1.0f, 0.499999934f, 0.166665206f, 0.041668388f, 0.00836871688f, 0.00138145985f);
  return ScaleByPower(p, n);
#else
  // 2 e^r times 2^(n - 1): n may be 128.
  const V p = Polynomial(d, r, 2.0f, 2.0f, 0.999999868f, 0.333330412f, 0.083336776f, 0.01673743376f, 0.0027629197f);
  return hn::Mul(p, PowerOfTwo(d, hn::Sub(shifted, hn::Set(d, 1.0f))));
#endif
}

// ln x, 2 ulp; -inf at 0, NaN below.
template <class D, class V>
HWY_INLINE V FastLog(D d, V x) {
  const hn::RebindToSigned<D> di;
  constexpr float kSmallestNormal = std::numeric_limits<float>::min(),
                  kInfinity = std::numeric_limits<float>::infinity();
  const auto subnormal = hn::Lt(x, hn::Set(d, kSmallestNormal));
  const V normal = hn::IfThenElse(subnormal, hn::Mul(x, hn::Set(d, 8388608.0f)), x);
  // x = 2^e * m with m in [sqrt(1/2), sqrt(2)).
  const auto bits = hn::Sub(hn::BitCast(di, normal), hn::Set(di, 0x3F3504F3));
  const V e = hn::Sub(hn::ConvertTo(d, hn::ShiftRight<23>(bits)), hn::IfThenElseZero(subnormal, hn::Set(d, 23.0f)));
  const V m = hn::BitCast(d, hn::Add(hn::And(bits, hn::Set(di, 0x007FFFFF)), hn::Set(di, 0x3F3504F3)));
  const V f = hn::Sub(m, hn::Set(d, 1.0f));
  const V f2 = hn::Mul(f, f);
  const V p = Polynomial(d, f, 0.333333317f, -0.25000821f, 0.200012269f, -0.166233574f, 0.142017579f, -0.131601822f,
                         0.127615775f, -0.0763449776f);
  const V tail = hn::MulAdd(e, hn::Set(d, kLn2Low), hn::NegMulAdd(hn::Set(d, 0.5f), f2, hn::Mul(hn::Mul(f2, f), p)));
  V y = hn::MulAdd(e, hn::Set(d, kLn2High), hn::Add(f, tail));
  y = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), hn::Set(d, -kInfinity), y);
  y = hn::IfThenElse(hn::Eq(x, hn::Set(d, kInfinity)), x, y);
  return hn::IfThenElse(hn::Ge(x, hn::Zero(d)), y, hn::Set(d, std::numeric_limits<float>::quiet_NaN()));
}

// e^x - 1 for |x| <= 60, 2 ulp (relative also near zero).
template <class D, class V>
HWY_INLINE V ExpMinusOne(D d, V x) {
  const V shifted = hn::MulAdd(x, hn::Set(d, kLog2E), hn::Set(d, kRoundingShift));
  const V n = hn::Sub(shifted, hn::Set(d, kRoundingShift));
  const V r = hn::NegMulAdd(n, hn::Set(d, kLn2Low), hn::NegMulAdd(n, hn::Set(d, kLn2High), x));
  const V q = Polynomial(d, r, 0.499999982f, 0.166665436f, 0.0416671999f, 0.00836652058f, 0.00138825215f);
  const V power = PowerOfTwo(d, shifted);
  return hn::MulAdd(power, hn::MulAdd(hn::Mul(r, r), q, r), hn::Sub(power, hn::Set(d, 1.0f)));
}

// tanh x, 3 ulp.
template <class D, class V>
HWY_INLINE V FastTanh(D d, V x) {
  const V bounded = AtLeast(d, AtMost(d, x, 10.0f), -10.0f);
  const V e = ExpMinusOne(d, hn::Add(bounded, bounded));
  return hn::Div(e, hn::Add(e, hn::Set(d, 2.0f)));
}

// 1 / (1 + e^-x), 3 ulp.
template <class D, class V>
HWY_INLINE V FastSigmoid(D d, V x) {
  const V one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, FastExp(d, hn::Neg(x))));
}

// The standard normal distribution: density phi(x) and distribution function Phi(x) = (1 + erf(x / sqrt 2)) / 2.
template <class V>
struct Normal {
  V density, distribution;
};

// Relative errors of a few ulp on both sides: Phi(-|x|) = e^(-x^2 / 2) * P(t) with t = 1 / (1 + 0.35 |x|).
template <class D, class V>
HWY_INLINE Normal<V> FastNormal(D d, V x) {
  const V magnitude = AtMost(d, hn::Abs(x), 15.0f);  // Phi(-15) is zero in float32
  const V square = hn::Mul(magnitude, magnitude);
  const V e = FastExp(d, hn::Mul(square, hn::Set(d, -0.5f)));
  // What rounding took from the square would be multiplied by x^2 / 2 through the exponential.
  const V lost = hn::MulSub(magnitude, magnitude, square);
  const V exact = hn::NegMulAdd(hn::Mul(lost, hn::Set(d, 0.5f)), e, e);
  const V t = hn::Div(hn::Set(d, 1.0f), hn::MulAdd(magnitude, hn::Set(d, 0.35f), hn::Set(d, 1.0f)));
  const V p = Polynomial(d, t, 0.139621307f, 0.139863514f, 0.119821296f, 0.105552469f, -0.0232122734f, 0.159319576f,
                         -0.255838897f, 0.144030867f, -0.0291578748f);
  const V below = hn::Mul(hn::Mul(t, p), exact);
  return {hn::Mul(exact, hn::Set(d, 0.398942280f)),
          hn::IfThenElse(hn::Lt(x, hn::Zero(d)), below, hn::Sub(hn::Set(d, 1.0f), below))};
}

// x * Phi(x) (Hendrycks & Gimpel, 2016), a few ulp; 0 at -inf.
template <class D, class V>
HWY_INLINE V FastGelu(D d, V x) {
  return hn::Mul(AtLeast(d, x, std::numeric_limits<float>::lowest()), FastNormal(d, x).distribution);
}

// d/dx x * Phi(x) = Phi(x) + x * phi(x)
template <class D, class V>
HWY_INLINE V FastGeluDerivative(D d, V x) {
  const Normal<V> normal = FastNormal(d, x);
  const V bounded = AtLeast(d, AtMost(d, x, 15.0f), -15.0f);
  return hn::MulAdd(bounded, normal.density, normal.distribution);
}

// x * sigmoid(a), for an a that goes to -inf with x: 0 there.
template <class D, class V>
HWY_INLINE V TimesSigmoid(D d, V x, V a) {
  const V denominator = hn::Add(hn::Set(d, 1.0f), FastExp(d, hn::Neg(a)));
  return hn::Div(AtLeast(d, x, std::numeric_limits<float>::lowest()), denominator);
}

// Its derivative by x, sigmoid(a) + x * a' * sigmoid(a) * sigmoid(-a), given x * a'. Neither sigmoid is taken from one.
template <class D, class V>
HWY_INLINE V TimesSigmoidDerivative(D d, V a, V x_da) {
  const V one = hn::Set(d, 1.0f), e = FastExp(d, hn::Neg(hn::Abs(a)));
  const V larger = hn::Div(one, hn::Add(one, e)), smaller = hn::Mul(e, larger);
  const V s = hn::IfThenElse(hn::Lt(a, hn::Zero(d)), smaller, larger);
  return hn::MulAdd(x_da, hn::Mul(larger, smaller), s);
}

// x / (1 + e^-x) (Elfwing et al., 2018), 3 ulp; 0 at -inf.
template <class D, class V>
HWY_INLINE V FastSilu(D d, V x) {
  return TimesSigmoid(d, x, x);
}

// d/dx silu(x) = s * (1 + x * (1 - s)) with s = sigmoid(x)
template <class D, class V>
HWY_INLINE V FastSiluDerivative(D d, V x) {
  const V one = hn::Set(d, 1.0f), s = FastSigmoid(d, x);
  const V bounded = AtLeast(d, AtMost(d, x, 100.0f), -100.0f);
  return hn::Mul(s, hn::MulAdd(bounded, hn::Sub(one, s), one));
}

// x * (1 + tanh(u)) / 2 = x * sigmoid(2 u) with u = sqrt(2 / pi) * (x + 0.044715 x^3) (Hendrycks & Gimpel, 2016).
// 3 ulp for x >= 0; below, each rounding of 2 u counts |2 u| times.
constexpr float kGeluLinear = 1.59576912f, kGeluCubic = 0.0713548163f;  // 2 u = x * (linear + cubic * x^2)
template <class D, class V>
HWY_INLINE V FastGeluTanh(D d, V x) {
  const V a = hn::Mul(x, hn::MulAdd(hn::Mul(x, x), hn::Set(d, kGeluCubic), hn::Set(d, kGeluLinear)));
  return TimesSigmoid(d, x, a);
}

template <class D, class V>
HWY_INLINE V FastGeluTanhDerivative(D d, V x) {
  const V bounded = AtLeast(d, AtMost(d, x, 15.0f), -15.0f);  // sigmoid(-2 u) of 15 is zero in float32
  const V square = hn::Mul(bounded, bounded), linear = hn::Set(d, kGeluLinear);
  const V a = hn::Mul(bounded, hn::MulAdd(square, hn::Set(d, kGeluCubic), linear));
  return TimesSigmoidDerivative(d, a, hn::Mul(bounded, hn::MulAdd(square, hn::Set(d, 3.0f * kGeluCubic), linear)));
}

// x * sigmoid(1.702 x) (Hendrycks & Gimpel, 2016), as exact as the one above.
constexpr float kQuickGeluSlope = 1.702f;
template <class D, class V>
HWY_INLINE V FastQuickGelu(D d, V x) {
  return TimesSigmoid(d, x, hn::Mul(x, hn::Set(d, kQuickGeluSlope)));
}

template <class D, class V>
HWY_INLINE V FastQuickGeluDerivative(D d, V x) {
  const V a = hn::Mul(AtLeast(d, AtMost(d, x, 100.0f), -100.0f), hn::Set(d, kQuickGeluSlope));
  return TimesSigmoidDerivative(d, a, a);
}

template <class D, class V>
HWY_INLINE V FastRelu(D d, V x) {
  return AtLeast(d, x, 0.0f);
}

template <Activation kActivation, class D, class V>
HWY_INLINE V Activate(D d, V x) {
  if constexpr (kActivation == Activation::kRelu) return FastRelu(d, x);
  if constexpr (kActivation == Activation::kGelu) return FastGelu(d, x);
  if constexpr (kActivation == Activation::kSilu) return FastSilu(d, x);
  if constexpr (kActivation == Activation::kTanh) return FastTanh(d, x);
  if constexpr (kActivation == Activation::kSigmoid) return FastSigmoid(d, x);
  if constexpr (kActivation == Activation::kGeluTanh) return FastGeluTanh(d, x);
  if constexpr (kActivation == Activation::kQuickGelu) return FastQuickGelu(d, x);
  return x;
}

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
