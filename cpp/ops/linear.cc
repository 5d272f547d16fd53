#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/op_scope.h"
#include "attnkit/ops/product.h"
#include "attnkit/precision.h"
#include "ops/fused_activation.h"

namespace attnkit::ops {
namespace {

using kernels::Activation;

struct Saved {
  Tensor x, weight, activated;  // x only where the weight has a gradient; it and `activated` may be bfloat16
  Shape shape;                  // of x
  Activation activation;
  kernels::Precision precision;
  bool need_x, need_weight, need_bias;
};

// dpre^T · x [N, K]. A product in bf16 rounds x, so it may be rounded already.
Tensor WeightGradient(const Saved& s, const Tensor& dpre) {
  const int64_t rows = s.x.rows(), in = s.weight.dim(1), out = s.weight.dim(0);
  Tensor dweight = s.weight.New(s.weight.shape());
  if (s.x.dtype() == DType::kBFloat16) {
    const kernels::PackedMatrix x = dpre.kernels().PackBFloat16(s.x.bits(), rows, in, in, 1, s.precision);
    dpre.kernels().Gemm(dpre.data(), 1, out, out, x, dweight.data(), in, {});
  } else {
    dpre.kernels().MatMul(dpre.data(), 1, out, s.x.data(), in, 1, out, in, rows, s.precision, dweight.data(), in, {});
  }
  return dweight;
}

std::vector<Tensor> LinearBackward(const Saved& s, std::vector<Tensor>& dy) {
  const Tensor dpre = ActivationGradient(s.activation, s.activated, dy);
  const int64_t rows = dpre.rows(), in = s.weight.dim(1), out = s.weight.dim(0);
  Tensor dx, dweight, dbias;
  if (s.need_x) {
    dx = dpre.New(s.shape);
    dpre.kernels().Gemm(dpre.data(), out, 1, rows, *s.weight.Packed(false, s.precision), dx.data(), in, {});
  }
  if (s.need_weight) dweight = WeightGradient(s, dpre);
  if (s.need_bias) {
    dbias = dpre.New({out});
    dpre.kernels().ColumnSums(dpre.data(), rows, out, out, false, dbias.data());
  }
  return {dx, dweight, dbias};
}

}  // namespace

Tensor Linear(const Tensor& x, const Tensor& weight, const Tensor& bias, Activation activation) {
  const OpScope scope("linear", {&x, &bias}, {&weight});
  ATTNKIT_CHECK(weight.rank() == 2, "[linear] expected weight of shape [N, K], got ", ToString(weight.shape()));
  const int64_t out_features = weight.dim(0), in_features = weight.dim(1);
  ATTNKIT_CHECK(x.rank() >= 1 && x.dim(-1) == in_features, "[linear] expected x of shape [..., ", in_features,
                "], got ", ToString(x.shape()));
  ATTNKIT_CHECK(!bias || bias.shape() == Shape{out_features}, "[linear] expected bias of shape [", out_features,
                "], got ", ToString(bias.shape()));

  const bool record = NeedsGrad({x, weight, bias});
  Shape shape = x.shape();
  shape.back() = out_features;
  Tensor y = x.New(shape), pre;
  kernels::Epilogue epilogue;
  epilogue.bias = bias ? bias.data() : nullptr;
  epilogue.activation = activation;
  if (record && NeedsInput(activation)) {
    pre = x.New(shape);
    epilogue.pre_activation = pre.data();
  }
  const kernels::Precision precision = WeightPrecision(record);
  const int64_t rows = x.rows();
  x.kernels().Gemm(x.data(), in_features, 1, rows, *weight.Packed(true, precision), y.data(), out_features, epilogue);
  if (record) {
    const Saved saved{weight.requires_grad() ? KeptAs(precision, x) : Tensor(),
                      weight.Detach(),
                      KeptForActivation(activation, precision, pre, y),
                      x.shape(),
                      activation,
                      precision,
                      x.requires_grad(),
                      weight.requires_grad(),
                      bias.requires_grad()};
    Record("linear", {x, weight, bias}, {&y}, [saved](std::vector<Tensor>& dy) { return LinearBackward(saved, dy); });
  }
  return y;
}

}  // namespace attnkit::ops
