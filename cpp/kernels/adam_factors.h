// What the options of Adam come to at one step, for the kernels of every device.
#pragma once

#include <cmath>

#include "attnkit/check.h"
#include "attnkit/kernels/optimizer.h"

namespace attnkit::kernels {

struct AdamFactors {
  float gradient_scale, l2, decay;  // g = gradient_scale * gradient + l2 * parameter; parameter *= decay
  float one_minus_beta1, beta2, one_minus_beta2;
  float step_size, inverse_sqrt_correction2, eps;  // parameter -= step_size * m / (sqrt(v) * inverse_... + eps)
};

inline AdamFactors FactorsOf(const AdamOptions& options) {
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
  return factors;
}

}  // namespace attnkit::kernels
