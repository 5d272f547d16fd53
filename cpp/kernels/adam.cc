// Adam (Kingma & Ba, 2015) and AdamW (Loshchilov & Hutter, 2019) in one pass over a parameter.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/adam.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include <cmath>

#include "attnkit/check.h"
#include "attnkit/kernels/optimizer.h"
#include "attnkit/threads.h"
#include "kernels/dispatch.h"
#include "kernels/grain.h"
#include "kernels/vector-inl.h"

#ifndef ATTNKIT_KERNELS_ADAM_FACTORS
#define ATTNKIT_KERNELS_ADAM_FACTORS
namespace attnkit::kernels {

// What AdamOptions come to at one step.
struct AdamFactors {
  float gradient_scale, l2, decay;  // g = gradient_scale * gradient + l2 * parameter; parameter *= decay
  float one_minus_beta1, beta2, one_minus_beta2;
  float step_size, inverse_sqrt_correction2, eps;  // parameter -= step_size * m / (sqrt(v) * inverse_... + eps)
};

}  // namespace attnkit::kernels
#endif

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
  ATTNKIT_CHECK(options.step >= 1, "[adam] expected a step counted from 1, got ", options.step);
  // In double: 1 - beta^step is small at first.
  const double step = static_cast<double>(options.step);
  const double correction1 = 1.0 - std::pow(double{options.beta1}, step);
  const double correction2 = 1.0 - std::pow(double{options.beta2}, step);
  AdamFactors factors;
  factors.gradient_scale = options.gradient_scale;
  factors.l2 = options.decoupled ? 0.0f : options.weight_decay;
  factors.decay = options.decoupled ? 1.0f - options.learning_rate * options.weight_decay : 1.0f;
  factors.one_minus_beta1 = static_cast<float>(1.0 - options.beta1);
  factors.beta2 = options.beta2;
  factors.one_minus_beta2 = static_cast<float>(1.0 - options.beta2);
  factors.step_size = static_cast<float>(options.learning_rate / correction1);
  factors.inverse_sqrt_correction2 = static_cast<float>(1.0 / std::sqrt(correction2));
  factors.eps = options.eps;
  auto* kernel = ATTNKIT_DISPATCH(AdamRange);
  ParallelFor(size, kGrainElements, [&](int64_t begin, int64_t end) {
    kernel(factors, gradient + begin, end - begin, parameter + begin, moment1 + begin, moment2 + begin);
  });
}

}  // namespace attnkit::kernels
#endif
