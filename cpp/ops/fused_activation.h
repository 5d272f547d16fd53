// The activation that a product or a convolution applies to its result.
#pragma once

#include <vector>

#include "attnkit/kernels/elementwise.h"
#include "attnkit/tensor.h"
#include "ops/optional.h"

namespace attnkit::ops {

// SiLU and the GELUs are not functions of their own result: backward needs what they read.
inline bool NeedsInput(kernels::Activation activation) {
  using kernels::Activation;
  return activation == Activation::kGelu || activation == Activation::kSilu || activation == Activation::kGeluTanh ||
         activation == Activation::kQuickGelu;
}

// The gradient before the activation, from dy[0], which is taken: in its memory where nobody else holds that.
inline Tensor ActivationGradient(kernels::Activation activation, const Tensor& pre, const Tensor& post,
                                 std::vector<Tensor>& dy) {
  Tensor dpre = dy[0];
  if (activation == kernels::Activation::kNone) return dpre;
  dy[0] = Tensor();
  if (!dpre.IsSoleOwner()) dpre = dpre.Clone();
  dpre.kernels().ActivationBackward(activation, DataOrNull(pre), DataOrNull(post), dpre.size(), dpre.data());
  return dpre;
}

}  // namespace attnkit::ops
