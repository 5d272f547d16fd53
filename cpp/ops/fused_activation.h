// The activation that a product or a convolution applies to its result.
#pragma once

#include <algorithm>
#include <vector>

#include "attnkit/autograd.h"
#include "attnkit/kernels/elementwise.h"

namespace attnkit::ops {

// SiLU and the GELUs are not functions of their own result: backward needs what they read.
inline bool NeedsInput(kernels::Activation activation) {
  using kernels::Activation;
  return activation == Activation::kGelu || activation == Activation::kSilu || activation == Activation::kGeluTanh ||
         activation == Activation::kQuickGelu;
}

// What backward needs of an activation beside a product of this precision: `pre`, which it read, where NeedsInput, else
// `y`, its result. In bf16 the former is rounded; of relu's result backward asks for the sign alone. The derivatives of
// tanh and of the sigmoid are differences to 1, of which bf16 would leave little.
inline Tensor KeptForActivation(kernels::Activation activation, kernels::Precision precision, const Tensor& pre,
                                const Tensor& y) {
  if (activation == kernels::Activation::kNone) return Tensor();
  if (precision != kernels::Precision::kBFloat16) return Kept(pre ? pre : y);
  return pre ? pre.Rounded() : activation == kernels::Activation::kRelu ? y.Rounded() : Kept(y);
}

// dpre *= f'(.), a piece at a time where `kept` is bfloat16: what becomes float32 then stays in the cache.
inline void MultiplyByDerivative(kernels::Activation activation, const Tensor& kept, const Tensor& dpre) {
  const bool rounded = kept.dtype() == DType::kBFloat16;
  const int64_t size = dpre.size(), piece = rounded ? std::min(size, int64_t{1} << 19) : size;
  const Tensor widened = rounded ? dpre.New({piece}) : Tensor();
  for (int64_t first = 0; first < size; first += piece) {
    const int64_t count = std::min(piece, size - first);
    if (rounded) dpre.kernels().Widen(kept.bits() + first, count, widened.data());
    const float* read = rounded ? widened.data() : kept.data();
    dpre.kernels().ActivationBackward(activation, NeedsInput(activation) ? read : nullptr,
                                      NeedsInput(activation) ? nullptr : read, count, dpre.data() + first);
  }
}

// The gradient before the activation, from dy[0], which is taken: in its memory where nobody else holds that.
inline Tensor ActivationGradient(kernels::Activation activation, const Tensor& kept, std::vector<Tensor>& dy) {
  Tensor dpre = dy[0];
  if (activation == kernels::Activation::kNone) return dpre;
  dy[0] = Tensor();
  if (!dpre.IsSoleOwner()) dpre = dpre.Clone();
  MultiplyByDerivative(activation, kept, dpre);
  return dpre;
}

}  // namespace attnkit::ops
