// The activations of kernels::Activation; the bounds and limits are those of the CPU's: NaN gives NaN, infinities give
// the limits.
#pragma once

#include "attnkit/kernels/gemm.h"
#include "cuda/runtime.h"

namespace attnkit::cuda {

constexpr float kGeluLinear = 1.59576912f, kGeluCubic = 0.0713548163f;  // 2 u = x * (linear + cubic * x^2)
constexpr float kQuickGeluSlope = 1.702f;

// -inf times a sigmoid of zero would be NaN.
__device__ inline float AboveInfinity(float x) { return x < -3.402823466e38f ? -3.402823466e38f : x; }

__device__ inline float Relu(float x) { return x < 0.0f ? 0.0f : x; }
__device__ inline float Sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
// x * sigmoid(a), for an a that goes to -inf with x.
__device__ inline float TimesSigmoid(float x, float a) { return AboveInfinity(x) / (1.0f + expf(-a)); }
__device__ inline float Gelu(float x) { return AboveInfinity(x) * normcdff(x); }
__device__ inline float Silu(float x) { return TimesSigmoid(x, x); }
__device__ inline float GeluTanh(float x) { return TimesSigmoid(x, x * (x * x * kGeluCubic + kGeluLinear)); }
__device__ inline float QuickGelu(float x) { return TimesSigmoid(x, x * kQuickGeluSlope); }

__device__ inline float Activate(kernels::Activation activation, float x) {
  switch (activation) {
    case kernels::Activation::kRelu: return Relu(x);
    case kernels::Activation::kGelu: return Gelu(x);
    case kernels::Activation::kSilu: return Silu(x);
    case kernels::Activation::kTanh: return tanhf(x);
    case kernels::Activation::kSigmoid: return Sigmoid(x);
    case kernels::Activation::kGeluTanh: return GeluTanh(x);
    case kernels::Activation::kQuickGelu: return QuickGelu(x);
    default: return x;
  }
}

}  // namespace attnkit::cuda
