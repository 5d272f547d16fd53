// Adam (Kingma & Ba, 2015) and AdamW (Loshchilov & Hutter, 2019) on CUDA, in one pass over a parameter.
#include <cmath>

#include "attnkit/check.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/quads.h"

namespace attnkit::cuda {
namespace {

// What AdamOptions come to at one step.
struct AdamFactors {
  float gradient_scale, l2, decay;  // g = gradient_scale * gradient + l2 * parameter; parameter *= decay
  float one_minus_beta1, beta2, one_minus_beta2;
  float step_size, inverse_sqrt_correction2, eps;  // parameter -= step_size * m / (sqrt(v) * inverse_... + eps)
};

struct AdamBody {
  AdamFactors factors;
  const float* gradient;
  Quads quads;
  float *parameter, *moment1, *moment2;
  __device__ void operator()(int64_t quad) const {
    float g[4], w[4], m[4], v[4];
    quads.Load(gradient, quad, g);
    quads.Load(parameter, quad, w);
    quads.Load(moment1, quad, m);
    quads.Load(moment2, quad, v);
    for (int j = 0; j < 4; ++j) {
      const float slope = fmaf(w[j], factors.l2, __fmul_rn(g[j], factors.gradient_scale));
      m[j] = fmaf(slope - m[j], factors.one_minus_beta1, m[j]);
      v[j] = fmaf(slope * factors.one_minus_beta2, slope, __fmul_rn(v[j], factors.beta2));
      const float denominator = fmaf(sqrtf(v[j]), factors.inverse_sqrt_correction2, factors.eps);
      w[j] = fmaf(-factors.step_size, m[j] / denominator, __fmul_rn(w[j], factors.decay));
    }
    quads.Store(m, quad, moment1);
    quads.Store(v, quad, moment2);
    quads.Store(w, quad, parameter);
  }
};
}  // namespace

void AdamStep(const kernels::AdamOptions& options, const float* gradient, int64_t size, float* parameter,
              float* moment1, float* moment2) {
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
  const Quads quads(size, {gradient, parameter, moment1, moment2});
  ForEach(quads.count(), AdamBody{factors, gradient, quads, parameter, moment1, moment2});
}

}  // namespace attnkit::cuda
