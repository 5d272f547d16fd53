// Adam (Kingma & Ba, 2015) and AdamW (Loshchilov & Hutter, 2019) in one pass over a parameter.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/adam.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include "attnkit/threads.h"
#include "kernels/adam_factors.h"
#include "kernels/dispatch.h"
#include "kernels/grain.h"
#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

void AdamRange(const AdamFactors& factors, const float* gradient, int64_t size, float* parameter, float* moment1,
               float* moment2) {
  const Floats d;
  const FloatVec gradient_scale = hn::Set(d, factors.gradient_scale), l2 = hn::Set(d, factors.l2);
  const FloatVec decay = hn::Set(d, factors.decay), one_minus_beta1 = hn::Set(d, factors.one_minus_beta1);
  const FloatVec beta2 = hn::Set(d, factors.beta2), one_minus_beta2 = hn::Set(d, factors.one_minus_beta2);
  const FloatVec step_size = hn::Set(d, factors.step_size), eps = hn::Set(d, factors.eps);
  const FloatVec correction = hn::Set(d, factors.inverse_sqrt_correction2);
  ForVectors<2>(size, [=](auto access, int64_t i, int) ATTNKIT_BODY {
    const FloatVec old = access.Load(parameter + i), m_old = access.Load(moment1 + i);
    const FloatVec g = hn::MulAdd(old, l2, hn::Mul(access.Load(gradient + i), gradient_scale));
    const FloatVec m = hn::MulAdd(hn::Sub(g, m_old), one_minus_beta1, m_old);
    const FloatVec v = hn::MulAdd(hn::Mul(g, one_minus_beta2), g, hn::Mul(access.Load(moment2 + i), beta2));
    const FloatVec denominator = hn::MulAdd(hn::Sqrt(v), correction, eps);
    access.Store(m, moment1 + i);
    access.Store(v, moment2 + i);
    access.Store(hn::NegMulAdd(step_size, hn::Div(m, denominator), hn::Mul(old, decay)), parameter + i);
  });
}

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {

void AdamStep(const AdamOptions& options, const float* gradient, int64_t size, float* parameter, float* moment1,
              float* moment2) {
  const AdamFactors factors = FactorsOf(options);
  auto* kernel = ATTNKIT_DISPATCH(AdamRange);
  ParallelFor(size, kGrainElements, [&](int64_t begin, int64_t end) {
    kernel(factors, gradient + begin, end - begin, parameter + begin, moment1 + begin, moment2 + begin);
  });
}

}  // namespace attnkit::kernels
#endif
