// What turns scores into weights, and weights into a sum of values.
#include <limits>

#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/op_scope.h"
#include "ops/offsets.h"
#include "ops/ragged/layout.h"

namespace attnkit::ops {
namespace {

std::vector<Tensor> SumsBackward(const RaggedLayout& layout, const Tensor& weights, const Tensor& value,
                                 const Tensor& dout) {
  const int64_t width = value.dim(1);
  Tensor dweights;
  if (weights.requires_grad()) {
    dweights = weights.New(weights.shape());
    dout.kernels().RaggedDots(layout.shape(), dout.data(), value.data(), width, dweights.data());
  }
  if (value.requires_grad()) {
    weights.kernels().RaggedTransposedSums(layout.shape(), weights.data(), dout.data(), width,
                                           GradientInPlace(value).data());
  }
  return {dweights, Tensor()};
}

}  // namespace

Tensor RaggedSoftmax(const Tensor& scores, const RaggedOffsets& offsets) {
  const OpScope scope("ragged_softmax", {&scores});
  const RaggedLayout layout("ragged_softmax", offsets, kAnyRows, kAnyRows, scores.context());
  layout.CheckPairs("ragged_softmax", "scores", scores);
  Tensor weights = scores.New(scores.shape());
  scores.kernels().RaggedSoftmax(layout.shape(), scores.data(), weights.data());
  if (NeedsGrad({scores})) {
    Record("ragged_softmax", {scores}, {&weights}, [layout, weights = Kept(weights)](std::vector<Tensor>& dy) {
      Tensor dscores = weights.New(weights.shape());
      weights.kernels().RaggedSoftmaxBackward(layout.shape(), weights.data(), dy[0].data(), dscores.data());
      return std::vector<Tensor>{dscores};
    });
  }
  return weights;
}

Tensor RaggedSums(const Tensor& weights, const Tensor& value, const RaggedOffsets& offsets) {
  const OpScope scope("ragged_sums", {&weights, &value});
  ATTNKIT_CHECK(value.rank() == 2, "[ragged_sums] expected value of shape [S, D], got ", ToString(value.shape()));
  const RaggedLayout layout("ragged_sums", offsets, kAnyRows, value.dim(0), value.context());
  layout.CheckPairs("ragged_sums", "weights", weights);
  Tensor out = value.New({layout.shape().queries(), value.dim(1)});
  weights.kernels().RaggedSums(layout.shape(), weights.data(), value.data(), value.dim(1), out.data());
  if (NeedsGrad({weights, value})) {
    Record("ragged_sums", {weights, value}, {&out},
           [=](std::vector<Tensor>& dy) { return SumsBackward(layout, weights, value, dy[0]); });
  }
  return out;
}

Tensor RaggedKeySums(const Tensor& weights, const RaggedOffsets& offsets) {
  const OpScope scope("ragged_key_sums", {&weights});
  const RaggedLayout layout("ragged_key_sums", offsets, kAnyRows, kAnyRows, weights.context());
  layout.CheckPairs("ragged_key_sums", "weights", weights);
  const Tensor ones = weights.NewFull({layout.shape().queries()}, 1.0f);
  Tensor sums = weights.NewZeros({layout.shape().keys()});
  weights.kernels().RaggedTransposedSums(layout.shape(), weights.data(), ones.data(), 1, sums.data());
  if (NeedsGrad({weights})) {
    Record("ragged_key_sums", {weights}, {&sums}, [layout, ones, shape = weights.shape()](std::vector<Tensor>& dy) {
      Tensor dweights = ones.New(shape);
      ones.kernels().RaggedDots(layout.shape(), ones.data(), dy[0].data(), 1, dweights.data());
      return std::vector<Tensor>{dweights};
    });
  }
  return sums;
}

Tensor RaggedGaussian(const Tensor& weights, const Tensor& centres, float sigma, const RaggedOffsets& offsets) {
  const OpScope scope("ragged_gaussian", {&weights, &centres});
  ATTNKIT_CHECK(centres.rank() == 1, "[ragged_gaussian] expected centres of shape [T], got ",
                ToString(centres.shape()));
  ATTNKIT_CHECK(sigma > 0.0f, "[ragged_gaussian] expected sigma > 0, got ", sigma);
  const RaggedLayout layout("ragged_gaussian", offsets, centres.dim(0), kAnyRows, weights.context());
  layout.CheckPairs("ragged_gaussian", "weights", weights);
  Tensor out = weights.New(weights.shape());
  weights.kernels().RaggedGaussian(layout.shape(), weights.data(), centres.data(), sigma, out.data());
  if (NeedsGrad({weights, centres})) {
    Record("ragged_gaussian", {weights, centres}, {&out},
           [=, weights = Kept(weights), centres = Kept(centres)](std::vector<Tensor>& dy) {
             Tensor dweights = weights.New(weights.shape()), dcentres = centres.New(centres.shape());
             weights.kernels().RaggedGaussianBackward(layout.shape(), weights.data(), centres.data(), sigma,
                                                      dy[0].data(), dweights.data(), dcentres.data());
             return std::vector<Tensor>{dweights, dcentres};
           });
  }
  return out;
}

Tensor RaggedChainMarginals(const Tensor& scores, const Tensor& transitions, const RaggedOffsets& offsets) {
  const OpScope scope("ragged_chain_marginals", {&scores, &transitions});
  const RaggedLayout layout("ragged_chain_marginals", offsets, kAnyRows, kAnyRows, scores.context());
  layout.CheckPairs("ragged_chain_marginals", "scores", scores);
  ATTNKIT_CHECK((transitions.shape() == Shape{2, 2}), "[ragged_chain_marginals] expected transitions of shape [2, 2], ",
                "got ", ToString(transitions.shape()));
  Tensor out = scores.New(scores.shape());
  scores.kernels().RaggedChainMarginals(layout.shape(), scores.data(), transitions.data(), out.data());
  if (NeedsGrad({scores, transitions})) {
    Record("ragged_chain_marginals", {scores, transitions}, {&out},
           [layout, scores = Kept(scores), transitions = Kept(transitions)](std::vector<Tensor>& dy) {
             Tensor dscores = scores.New(scores.shape()), dtransitions = transitions.New(transitions.shape());
             scores.kernels().RaggedChainBackward(layout.shape(), scores.data(), transitions.data(), dy[0].data(),
                                                  dscores.data(), dtransitions.data());
             return std::vector<Tensor>{dscores, dtransitions};
           });
  }
  return out;
}

Tensor RaggedPick(const Tensor& weights, bool sample, bool scores, const RaggedOffsets& offsets) {
  const OpScope scope("ragged_pick", {&weights});
  const RaggedLayout layout("ragged_pick", offsets, kAnyRows, kAnyRows, weights.context());
  layout.CheckPairs("ragged_pick", "weights", weights);
  ATTNKIT_CHECK(!(sample && scores), "[ragged_pick] expected weights to draw a sample by, got scores");
  Tensor out = weights.New(weights.shape());
  if (sample) {
    weights.kernels().RaggedSample(layout.shape(), weights.data(), NextPhiloxKey(), out.data());
  } else {
    const float above = scores ? -std::numeric_limits<float>::infinity() : 0.0f;
    weights.kernels().RaggedArgmax(layout.shape(), weights.data(), above, out.data());
  }
  if (NeedsGrad({weights})) {
    Record("ragged_pick", {weights}, {&out}, [](std::vector<Tensor>& dy) { return std::vector<Tensor>{dy[0]}; });
  }
  return out;
}

Tensor UnitRows(const Tensor& x, float eps) {
  const OpScope scope("unit_rows", {&x});
  ATTNKIT_CHECK(x.rank() >= 1, "[unit_rows] expected at least one axis, got []");
  ATTNKIT_CHECK(eps > 0.0f, "[unit_rows] expected eps > 0, got ", eps);
  Tensor y = x.New(x.shape()), norms = x.New({x.rows()});
  x.kernels().UnitRowsForward(x.data(), x.rows(), x.columns(), eps, y.data(), norms.data());
  if (NeedsGrad({x})) {
    Record("unit_rows", {x}, {&y}, [y = Kept(y), norms, eps](std::vector<Tensor>& dy) {
      Tensor dx = y.New(y.shape());
      y.kernels().UnitRowsBackward(y.data(), norms.data(), dy[0].data(), y.rows(), y.columns(), eps, dx.data());
      return std::vector<Tensor>{dx};
    });
  }
  return y;
}

}  // namespace attnkit::ops
