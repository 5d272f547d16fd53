// Elementary functions and activations of attnkit/kernels/elementwise.h on CUDA, and their gradients.
#include <cfloat>

#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/map.h"

namespace attnkit::cuda {
namespace {

using kernels::Activation;
using kernels::Unary;

// Bounds that let NaN through.
__device__ float AtMost(float x, float bound) { return x > bound ? bound : x; }
__device__ float AtLeast(float x, float bound) { return x < bound ? bound : x; }

__device__ float Sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// The standard normal distribution: density phi(x) and distribution function Phi(x).
struct Normal {
  float density, distribution;
};

// The CPU's fit: Phi(-|x|) = e^(-x^2 / 2) * P(t) with t = 1 / (1 + 0.35 |x|), a few ulp on both sides, where erfc of a
// rounded argument would lose x^2 ulp.
__device__ Normal NormalOf(float x) {
  const float magnitude = AtMost(fabsf(x), 15.0f);  // Phi(-15) is zero in float32
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

// x * sigmoid(a), for an a that goes to -inf with x: 0 there.
__device__ float TimesSigmoid(float x, float a) { return AtLeast(x, -FLT_MAX) / (1.0f + expf(-a)); }

// Its derivative by x, sigmoid(a) + x * a' * sigmoid(a) * sigmoid(-a), given x * a'. Neither sigmoid is taken from one.
__device__ float TimesSigmoidDerivative(float a, float x_da) {
  const float e = expf(-fabsf(a)), larger = 1.0f / (1.0f + e), smaller = e * larger;
  return fmaf(x_da, larger * smaller, a < 0.0f ? smaller : larger);
}

constexpr float kGeluLinear = 1.59576912f,
                kGeluCubic = 0.0713548163f;  // of gelu-tanh: 2 u = x * (linear + cubic * x^2)
constexpr float kQuickGeluSlope = 1.702f;

template <Unary kOp>
struct ValueOf {
  __device__ float operator()(float x) const {
    if constexpr (kOp == Unary::kExp) return expf(x);
    if constexpr (kOp == Unary::kLog) return logf(x);
    if constexpr (kOp == Unary::kSqrt) return sqrtf(x);
    if constexpr (kOp == Unary::kTanh) return tanhf(x);
    if constexpr (kOp == Unary::kSigmoid) return Sigmoid(x);
    if constexpr (kOp == Unary::kRelu) return AtLeast(x, 0.0f);
    if constexpr (kOp == Unary::kGelu) return AtLeast(x, -FLT_MAX) * NormalOf(x).distribution;
    if constexpr (kOp == Unary::kSilu) return TimesSigmoid(x, x);
    if constexpr (kOp == Unary::kGeluTanh) return TimesSigmoid(x, x * fmaf(x * x, kGeluCubic, kGeluLinear));
    if constexpr (kOp == Unary::kQuickGelu) return TimesSigmoid(x, x * kQuickGeluSlope);
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

Unary ToUnary(Activation activation) {
  switch (activation) {
    case Activation::kGelu: return Unary::kGelu;
    case Activation::kSilu: return Unary::kSilu;
    case Activation::kTanh: return Unary::kTanh;
    case Activation::kSigmoid: return Unary::kSigmoid;
    case Activation::kGeluTanh: return Unary::kGeluTanh;
    case Activation::kQuickGelu: return Unary::kQuickGelu;
    default: return Unary::kRelu;
  }
}

bool ReadsInput(Unary op) {
  return op == Unary::kLog || op == Unary::kGelu || op == Unary::kSilu || op == Unary::kGeluTanh ||
         op == Unary::kQuickGelu;
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
