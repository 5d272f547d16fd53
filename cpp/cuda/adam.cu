// Adam (Kingma & Ba, 2015) and AdamW (Loshchilov & Hutter, 2019) on CUDA, in one pass over a parameter.
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/quads.h"
#include "kernels/adam_factors.h"

namespace attnkit::cuda {
namespace {

struct AdamBody {
  kernels::AdamFactors factors;
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
  const Quads quads(size, {gradient, parameter, moment1, moment2});
  ForEach(quads.count(), AdamBody{kernels::FactorsOf(options), gradient, quads, parameter, moment1, moment2});
}

}  // namespace attnkit::cuda
