#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/op_scope.h"
#include "attnkit/ops/product.h"
#include "attnkit/ops/shape.h"
#include "attnkit/ops/vision.h"
#include "attnkit/precision.h"
#include "ops/fused_activation.h"
#include "ops/window.h"

namespace attnkit::ops {
namespace {

using kernels::Activation;
using kernels::Conv2dShape;
using kernels::SuitsWinograd;

struct Saved {
  Tensor x, weight, activated;
  Conv2dShape shape;
  Activation activation;
  kernels::Precision precision;
  bool need_x, need_weight, need_bias;
};

std::vector<Tensor> Conv2dBackward(const Saved& s, std::vector<Tensor>& dy) {
  const Tensor dpre = ActivationGradient(s.activation, s.activated, dy);
  Tensor dx, dweight, dbias;
  if (s.need_x) {
    dx = s.x.New(s.x.shape());
    if (s.shape.depthwise()) {
      dpre.kernels().DepthwiseInputGradient(s.shape, dpre.data(), s.weight.data(), dx.data());
    } else if (SuitsWinograd(s.shape, s.precision)) {
      dpre.kernels().WinogradInputGradient(s.shape, dpre.data(), s.weight.data(), dx.data());
    } else {
      dpre.kernels().Conv2dInputGradient(s.shape, dpre.data(), s.weight.data(), s.precision, dx.data());
    }
  }
  if (s.need_weight) {
    dweight = s.weight.New(s.weight.shape());
    if (s.shape.depthwise()) {
      s.x.kernels().DepthwiseWeightGradient(s.shape, s.x.data(), dpre.data(), dweight.data());
    } else if (SuitsWinograd(s.shape, s.precision)) {
      s.x.kernels().WinogradWeightGradient(s.shape, s.x.data(), dpre.data(), dweight.data());
    } else {
      s.x.kernels().Conv2dWeightGradient(s.shape, s.x.data(), dpre.data(), s.precision, dweight.data());
    }
  }
  if (s.need_bias) {
    dbias = dpre.New({s.shape.out_channels});
    dpre.kernels().ColumnSums(dpre.data(), dpre.rows(), dpre.columns(), dpre.columns(), false, dbias.data());
  }
  return {dx, dweight, dbias};
}

Conv2dShape CheckShape(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& o) {
  ATTNKIT_CHECK(x.rank() == 4, "[conv2d] expected x of shape [B, H, W, C], got ", ToString(x.shape()));
  ATTNKIT_CHECK(weight.rank() == 4, "[conv2d] expected weight of shape [O, KH, KW, C / groups], got ",
                ToString(weight.shape()));
  Conv2dShape s{x.dim(0),
                {x.dim(1), weight.dim(1), o.stride[0], o.padding[0]},
                {x.dim(2), weight.dim(2), o.stride[1], o.padding[1]},
                x.dim(3),
                weight.dim(0),
                o.groups};
  ATTNKIT_CHECK(s.groups >= 1 && s.channels >= 1 && s.out_channels >= 1 && s.channels % s.groups == 0 &&
                    s.out_channels % s.groups == 0,
                "[conv2d] expected channels that are multiples of groups = ", s.groups, ", got ", s.channels, " and ",
                s.out_channels);
  ATTNKIT_CHECK(weight.dim(3) == s.group_channels(), "[conv2d] expected weight of shape [", s.out_channels, ", ",
                s.rows.kernel, ", ", s.columns.kernel, ", ", s.group_channels(), "], got ", ToString(weight.shape()));
  ATTNKIT_CHECK(!bias || bias.shape() == Shape{s.out_channels}, "[conv2d] expected bias of shape [", s.out_channels,
                "], got ", ToString(bias.shape()));
  CheckWindow("conv2d", s.rows);
  CheckWindow("conv2d", s.columns);
  return s;
}

// A 1 x 1 kernel looks at one pixel, and pixels are rows.
bool IsLinear(const Conv2dShape& s) {
  return s.groups == 1 && s.rows.kernel == 1 && s.columns.kernel == 1 && s.rows.stride == 1 && s.columns.stride == 1 &&
         s.rows.padding == 0 && s.columns.padding == 0;
}

void Forward(const Conv2dShape& shape, const Tensor& x, const Tensor& weight, kernels::Precision wanted,
             const kernels::Epilogue& epilogue, float* y) {
  if (shape.depthwise()) {
    x.kernels().DepthwiseForward(shape, x.data(), weight.data(), epilogue, y);
    return;
  }
  if (weight.dtype() == DType::kFloat32 && SuitsWinograd(shape, wanted)) {
    x.kernels().WinogradForward(shape, x.data(), weight.data(), epilogue, y);
    return;
  }
  const kernels::Precision precision = kernels::Conv2dForwardPrecision(shape, wanted);
  std::vector<std::shared_ptr<const kernels::PackedMatrix>> packed;
  std::vector<const kernels::PackedMatrix*> weights;
  const int64_t depth = shape.depth(), outputs = shape.group_outputs();
  for (int64_t group = 0; group < shape.groups; ++group) {
    const int64_t offset = weight.offset() + group * outputs * depth;
    packed.push_back(weight.storage().Packed(offset, depth, outputs, 1, depth, precision));
    weights.push_back(packed.back().get());
  }
  x.kernels().Conv2dForward(shape, x.data(), weights, precision, y, epilogue);
}

}  // namespace

Tensor Conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options) {
  const OpScope scope("conv2d", {&x, &weight, &bias});
  const Conv2dShape shape = CheckShape(x, weight, bias, options);
  if (IsLinear(shape)) {
    return Linear(x, Reshape(weight, {shape.out_channels, shape.channels}), bias, options.activation);
  }
  const Activation activation = options.activation;
  const bool record = NeedsGrad({x, weight, bias});
  const kernels::Precision wanted = WeightPrecision(record);
  // int8 has rows of its own scale, which windows are not.
  const kernels::Precision precision = wanted == kernels::Precision::kInt8 ? kernels::Precision::kFloat32 : wanted;
  Tensor y = x.New({shape.batch, shape.rows.outputs(), shape.columns.outputs(), shape.out_channels}), pre;
  kernels::Epilogue epilogue;
  epilogue.bias = bias ? bias.data() : nullptr;
  epilogue.activation = activation;
  if (record && NeedsInput(activation)) {
    pre = y.New(y.shape());
    epilogue.pre_activation = pre.data();
  }
  Forward(shape, x, weight, precision, epilogue, y.data());
  if (record) {
    const Saved saved{Kept(x),
                      weight.Detach(),
                      KeptForActivation(activation, precision, pre, y),
                      shape,
                      activation,
                      precision,
                      x.requires_grad(),
                      weight.requires_grad(),
                      bias.requires_grad()};
    Record("conv2d", {x, weight, bias}, {&y}, [saved](std::vector<Tensor>& dy) { return Conv2dBackward(saved, dy); });
  }
  return y;
}

}  // namespace attnkit::ops
