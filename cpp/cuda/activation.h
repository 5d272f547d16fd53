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

// The standard normal distribution: density phi(x) and distribution function Phi(x).
struct Normal {
  float density, distribution;
};

// The CPU's fit: Phi(-|x|) = e^(-x^2 / 2) * P(t) with t = 1 / (1 + 0.35 |x|), a few ulp on both sides, where erfc of a
// rounded argument would lose x^2 ulp.
__device__ inline Normal NormalOf(float x) {
  const float magnitude = fabsf(x) > 15.0f ? 15.0f : fabsf(x);  // Phi(-15) is zero in float32
  const float square = __fmul_rn(magnitude, magnitude), lost = fmaf(magnitude, magnitude, -square);
  // What rounding took from the square would be multiplied by x^2 / 2 through the exponential.
  const float e = expf(-0.5f * square), exact = fmaf(-0.5f * lost, e, e);
  const float t = 1.0f / fmaf(magnitude, 0.35f, 1.0f);
  float p = -0.0291578748f;
  p = fmaf(p, t, 0.144030867f);
  p = fmaf(p, t, -0.255838897f);
  p = fmaf(p, t, 0.159319576f);
  p = fmaf(p, t, -0.0232122734f);
  p = fmaf(p, t, 0.105552469f);
  p = fmaf(p, t, 0.119821296f);
  p = fmaf(p, t, 0.139863514f);
  p = fmaf(p, t, 0.139621307f);
  const float below = t * p * exact;
  return {exact * 0.398942280f, x < 0.0f ? below : 1.0f - below};
}

__device__ inline float Relu(float x) { return x < 0.0f ? 0.0f : x; }
__device__ inline float Sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
// x * sigmoid(a), for an a that goes to -inf with x.
__device__ inline float TimesSigmoid(float x, float a) { return AboveInfinity(x) / (1.0f + expf(-a)); }
__device__ inline float Gelu(float x) { return AboveInfinity(x) * NormalOf(x).distribution; }
__device__ inline float Silu(float x) { return TimesSigmoid(x, x); }
__device__ inline float GeluTanh(float x) { return TimesSigmoid(x, x * fmaf(x * x, kGeluCubic, kGeluLinear)); }
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
