// The activations that products and convolutions end with.
#pragma once

#include <cfloat>

#include "attnkit/kernels/gemm.h"
#include "cuda/runtime.h"

namespace attnkit::cuda {

// x * sigmoid(a), for an a that goes to -inf with x: 0 there.
__device__ inline float TimesSigmoid(float x, float a) { return (x < -FLT_MAX ? -FLT_MAX : x) / (1.0f + expf(-a)); }

__device__ inline float Activate(kernels::Activation activation, float x) {
  using kernels::Activation;
  switch (activation) {
    case Activation::kRelu:
      return x < 0.0f ? 0.0f : x;  // a NaN stays
    // x * Phi(x); erfc of a rounded x / sqrt 2 would lose digits on the left.
    case Activation::kGelu: return (x < -FLT_MAX ? -FLT_MAX : x) * normcdff(x);
    case Activation::kSilu: return TimesSigmoid(x, x);
    case Activation::kTanh: return tanhf(x);
    case Activation::kSigmoid: return 1.0f / (1.0f + expf(-x));
    case Activation::kGeluTanh: return TimesSigmoid(x, x * (1.59576912f + 0.0713548163f * x * x));
    case Activation::kQuickGelu: return TimesSigmoid(x, 1.702f * x);
    default: return x;
  }
}

}  // namespace attnkit::cuda
