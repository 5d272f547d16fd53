// Elementary functions and activations of attnkit/kernels/elementwise.h on CUDA, and their gradients.
#include "cuda/activation.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/map.h"
#include "kernels/unary_of.h"

namespace attnkit::cuda {
namespace {

using kernels::Activation;
using kernels::Unary;

// Bounds that let NaN through.
__device__ float AtMost(float x, float bound) { return x > bound ? bound : x; }
__device__ float AtLeast(float x, float bound) { return x < bound ? bound : x; }

// The derivative of x * sigmoid(a) by x, sigmoid(a) + x * a' * sigmoid(a) * sigmoid(-a), given x * a'. Neither sigmoid
// is taken from one.
__device__ float TimesSigmoidDerivative(float a, float x_da) {
  const float e = expf(-fabsf(a)), larger = 1.0f / (1.0f + e), smaller = e * larger;
  return fmaf(x_da, larger * smaller, a < 0.0f ? smaller : larger);
}

template <Unary kOp>
struct ValueOf {
  __device__ float operator()(float x) const {
    if constexpr (kOp == Unary::kExp) return expf(x);
    if constexpr (kOp == Unary::kLog) return logf(x);
    if constexpr (kOp == Unary::kSqrt) return sqrtf(x);
    if constexpr (kOp == Unary::kTanh) return tanhf(x);
    if constexpr (kOp == Unary::kSigmoid) return Sigmoid(x);
    if constexpr (kOp == Unary::kRelu) return Relu(x);
    if constexpr (kOp == Unary::kGelu) return Gelu(x);
    if constexpr (kOp == Unary::kSilu) return Silu(x);
    if constexpr (kOp == Unary::kGeluTanh) return GeluTanh(x);
    if constexpr (kOp == Unary::kQuickGelu) return QuickGelu(x);
  }
};

// dy * f'(x), where `v` is x for log, silu and the GELUs, and f(x) for the others.
template <Unary kOp>
struct GradientOf {
  __device__ float operator()(float v, float dy) const {
    if constexpr (kOp == Unary::kExp) return dy * v;
    if constexpr (kOp == Unary::kLog) return dy / v;
    if constexpr (kOp == Unary::kSqrt) return dy / (v + v);
    if constexpr (kOp == Unary::kTanh) return dy * fmaf(-v, v, 1.0f);
    if constexpr (kOp == Unary::kSigmoid) return dy * fmaf(-v, v, v);
    if constexpr (kOp == Unary::kRelu) return v > 0.0f ? dy : 0.0f;
    if constexpr (kOp == Unary::kGelu) {
      const Normal normal = NormalOf(v);
      return dy * fmaf(AtLeast(AtMost(v, 15.0f), -15.0f), normal.density, normal.distribution);
    }
    if constexpr (kOp == Unary::kSilu) {
      const float s = Sigmoid(v), bounded = AtLeast(AtMost(v, 100.0f), -100.0f);
      return dy * (s * fmaf(bounded, 1.0f - s, 1.0f));
    }
    if constexpr (kOp == Unary::kGeluTanh) {
      const float bounded = AtLeast(AtMost(v, 15.0f), -15.0f);  // sigmoid(-2 u) of 15 is zero in float32
      const float square = bounded * bounded, a = bounded * fmaf(square, kGeluCubic, kGeluLinear);
      return dy * TimesSigmoidDerivative(a, bounded * fmaf(square, 3.0f * kGeluCubic, kGeluLinear));
    }
    if constexpr (kOp == Unary::kQuickGelu) {
      const float a = AtLeast(AtMost(v, 100.0f), -100.0f) * kQuickGeluSlope;
      return dy * TimesSigmoidDerivative(a, a);
    }
  }
};

// run(Function<op>()).
template <template <Unary> class Function, typename Run>
void WithOp(Unary op, const Run& run) {
  switch (op) {
    case Unary::kExp: return run(Function<Unary::kExp>());
    case Unary::kLog: return run(Function<Unary::kLog>());
    case Unary::kSqrt: return run(Function<Unary::kSqrt>());
    case Unary::kTanh: return run(Function<Unary::kTanh>());
    case Unary::kSigmoid: return run(Function<Unary::kSigmoid>());
    case Unary::kRelu: return run(Function<Unary::kRelu>());
    case Unary::kGelu: return run(Function<Unary::kGelu>());
    case Unary::kSilu: return run(Function<Unary::kSilu>());
    case Unary::kGeluTanh: return run(Function<Unary::kGeluTanh>());
    case Unary::kQuickGelu: return run(Function<Unary::kQuickGelu>());
  }
}

}  // namespace

void UnaryForward(Unary op, const float* x, int64_t size, float* y) {
  WithOp<ValueOf>(op, [=](auto function) { Map(x, size, function, y); });
}

void UnaryBackward(Unary op, const float* x, const float* y, const float* dy, int64_t size, float* dx) {
  const float* v = ReadsInput(op) ? x : y;
  WithOp<GradientOf>(op, [=](auto function) { Map(v, dy, size, function, dx); });
}

void ActivationBackward(Activation activation, const float* pre, const float* post, int64_t size, float* dy) {
  if (activation != Activation::kNone) cuda::UnaryBackward(ToUnary(activation), pre, post, dy, size, dy);
}

}  // namespace attnkit::cuda
