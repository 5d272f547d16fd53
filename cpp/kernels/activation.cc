// Elementary functions and activations over flat arrays, and their gradients.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/activation.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include "attnkit/kernels/elementwise.h"
#include "attnkit/threads.h"
#include "kernels/dispatch.h"
#include "kernels/grain.h"
#include "kernels/math-inl.h"
#include "kernels/unary_of.h"
#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

template <Unary kOp>
HWY_INLINE FloatVec Value(FloatVec x) {
  const Floats d;
  if constexpr (kOp == Unary::kExp) return FastExp(d, x);
  if constexpr (kOp == Unary::kLog) return FastLog(d, x);
  if constexpr (kOp == Unary::kSqrt) return hn::Sqrt(x);
  if constexpr (kOp == Unary::kTanh) return FastTanh(d, x);
  if constexpr (kOp == Unary::kSigmoid) return FastSigmoid(d, x);
  if constexpr (kOp == Unary::kRelu) return FastRelu(d, x);
  if constexpr (kOp == Unary::kGelu) return FastGelu(d, x);
  if constexpr (kOp == Unary::kSilu) return FastSilu(d, x);
  if constexpr (kOp == Unary::kGeluTanh) return FastGeluTanh(d, x);
  if constexpr (kOp == Unary::kQuickGelu) return FastQuickGelu(d, x);
}

// dy * f'(x), where `v` is x for log, silu and the GELUs, and f(x) for the others.
template <Unary kOp>
HWY_INLINE FloatVec Gradient(FloatVec v, FloatVec dy) {
  const Floats d;
  const FloatVec one = hn::Set(d, 1.0f);
  if constexpr (kOp == Unary::kExp) return hn::Mul(dy, v);
  if constexpr (kOp == Unary::kLog) return hn::Div(dy, v);
  if constexpr (kOp == Unary::kSqrt) return hn::Div(dy, hn::Add(v, v));
  if constexpr (kOp == Unary::kTanh) return hn::Mul(dy, hn::NegMulAdd(v, v, one));
  if constexpr (kOp == Unary::kSigmoid) return hn::Mul(dy, hn::NegMulAdd(v, v, v));
  if constexpr (kOp == Unary::kRelu) return hn::IfThenElseZero(hn::Gt(v, hn::Zero(d)), dy);
  if constexpr (kOp == Unary::kGelu) return hn::Mul(dy, FastGeluDerivative(d, v));
  if constexpr (kOp == Unary::kSilu) return hn::Mul(dy, FastSiluDerivative(d, v));
  if constexpr (kOp == Unary::kGeluTanh) return hn::Mul(dy, FastGeluTanhDerivative(d, v));
  if constexpr (kOp == Unary::kQuickGelu) return hn::Mul(dy, FastQuickGeluDerivative(d, v));
}

template <Unary kOp>
void ForwardRange(const float* x, int64_t size, float* y) {
  ForVectors<1>(size,
                [=](auto access, int64_t i, int) ATTNKIT_BODY { access.Store(Value<kOp>(access.Load(x + i)), y + i); });
}

template <Unary kOp>
void BackwardRange(const float* v, const float* dy, int64_t size, float* dx) {
  ForVectors<1>(size, [=](auto access, int64_t i, int) ATTNKIT_BODY {
    access.Store(Gradient<kOp>(access.Load(v + i), access.Load(dy + i)), dx + i);
  });
}

void UnaryForwardRange(Unary op, const float* x, int64_t size, float* y) {
  switch (op) {
    case Unary::kExp: return ForwardRange<Unary::kExp>(x, size, y);
    case Unary::kLog: return ForwardRange<Unary::kLog>(x, size, y);
    case Unary::kSqrt: return ForwardRange<Unary::kSqrt>(x, size, y);
    case Unary::kTanh: return ForwardRange<Unary::kTanh>(x, size, y);
    case Unary::kSigmoid: return ForwardRange<Unary::kSigmoid>(x, size, y);
    case Unary::kRelu: return ForwardRange<Unary::kRelu>(x, size, y);
    case Unary::kGelu: return ForwardRange<Unary::kGelu>(x, size, y);
    case Unary::kSilu: return ForwardRange<Unary::kSilu>(x, size, y);
    case Unary::kGeluTanh: return ForwardRange<Unary::kGeluTanh>(x, size, y);
    case Unary::kQuickGelu: return ForwardRange<Unary::kQuickGelu>(x, size, y);
  }
}

void UnaryBackwardRange(Unary op, const float* v, const float* dy, int64_t size, float* dx) {
  switch (op) {
    case Unary::kExp: return BackwardRange<Unary::kExp>(v, dy, size, dx);
    case Unary::kLog: return BackwardRange<Unary::kLog>(v, dy, size, dx);
    case Unary::kSqrt: return BackwardRange<Unary::kSqrt>(v, dy, size, dx);
    case Unary::kTanh: return BackwardRange<Unary::kTanh>(v, dy, size, dx);
    case Unary::kSigmoid: return BackwardRange<Unary::kSigmoid>(v, dy, size, dx);
    case Unary::kRelu: return BackwardRange<Unary::kRelu>(v, dy, size, dx);
    case Unary::kGelu: return BackwardRange<Unary::kGelu>(v, dy, size, dx);
    case Unary::kSilu: return BackwardRange<Unary::kSilu>(v, dy, size, dx);
    case Unary::kGeluTanh: return BackwardRange<Unary::kGeluTanh>(v, dy, size, dx);
    case Unary::kQuickGelu: return BackwardRange<Unary::kQuickGelu>(v, dy, size, dx);
  }
}

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {

void UnaryForward(Unary op, const float* x, int64_t size, float* y) {
  auto* kernel = ATTNKIT_DISPATCH(UnaryForwardRange);
  ParallelFor(size, kGrainElements, [=](int64_t begin, int64_t end) { kernel(op, x + begin, end - begin, y + begin); });
}

void UnaryBackward(Unary op, const float* x, const float* y, const float* dy, int64_t size, float* dx) {
  const float* v = ReadsInput(op) ? x : y;
  auto* kernel = ATTNKIT_DISPATCH(UnaryBackwardRange);
  ParallelFor(size, kGrainElements,
              [=](int64_t begin, int64_t end) { kernel(op, v + begin, dy + begin, end - begin, dx + begin); });
}

void ActivationBackward(Activation activation, const float* pre, const float* post, int64_t size, float* dy) {
  if (activation != Activation::kNone) UnaryBackward(ToUnary(activation), pre, post, dy, size, dy);
}

}  // namespace attnkit::kernels
#endif
