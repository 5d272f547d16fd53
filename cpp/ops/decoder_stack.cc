#include "attnkit/check.h"
#include "attnkit/kernels/elementwise.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/ops/decoding.h"

namespace attnkit::ops {
namespace {

using Norm = DecoderStack::Norm;
using Projection = DecoderStack::Projection;

Tensor Project(const Tensor& x, const Projection& p, kernels::Activation activation = kernels::Activation::kNone) {
  return Linear(x, p.weight, p.bias, activation);
}

Tensor Normalise(const Tensor& x, const Norm& norm) {
  return AddDropoutLayerNorm(x, Tensor(), norm.weight, norm.bias, 0.0f, norm.eps).normed;
}

// The residual stream between sublayers, and what the next of them reads: the stream itself, or its norm.
struct Stream {
  Tensor x, read;
};

// Adds a sublayer's result. Pre-norm needs the sum and the norm of the next sublayer (undefined behind the last one),
// post-norm the sublayer's own norm of the sum.
Stream Add(const Stream& stream, const Tensor& result, bool pre_norm, const Norm& own, const Norm* next) {
  if (pre_norm && !next) {
    const Tensor sum = ops::Add(stream.x, result);
    return {sum, sum};
  }
  const Norm& norm = pre_norm ? *next : own;
  const AddNorm added = AddDropoutLayerNorm(result, stream.x, norm.weight, norm.bias, 0.0f, norm.eps);
  return pre_norm ? Stream{added.sum, added.normed} : Stream{added.normed, added.normed};
}

}  // namespace

DecoderStack::DecoderStack(std::vector<Layer> layers, Norm last_norm, bool pre_norm, int64_t heads,
                           kernels::Activation activation)
    : layers_(std::move(layers)),
      last_norm_(std::move(last_norm)),
      pre_norm_(pre_norm),
      heads_(heads),
      activation_(activation) {}

Tensor DecoderStack::Step(const Tensor& x, DecoderState& state, Tensor* weights) const {
  const int64_t count = static_cast<int64_t>(layers_.size());
  ATTNKIT_CHECK(state.layers() == count, "[decoder_step] expected a state of ", count, " layers, got ", state.layers());
  const NoGrad no_grad;
  state.Advance();
  Stream stream{x, pre_norm_ ? Normalise(x, layers_[0].self_norm) : x};
  for (int64_t l = 0; l < count; ++l) {
    const Layer& layer = layers_[l];
    const Norm* next = l + 1 < count ? &layers_[l + 1].self_norm : last_norm_.weight ? &last_norm_ : nullptr;
    const Tensor attended = CachedAttention(Project(stream.read, layer.projection), state, l, heads_);
    stream = Add(stream, Project(attended, layer.self_output), pre_norm_, layer.self_norm, &layer.cross_norm);
    Tensor* wanted = l + 1 == count ? weights : nullptr;
    const Tensor looked = MemoryAttention(Project(stream.read, layer.query), state, l, heads_, wanted);
    stream = Add(stream, Project(looked, layer.cross_output), pre_norm_, layer.cross_norm, &layer.feed_forward_norm);
    const Tensor hidden = Project(stream.read, layer.up, activation_);
    stream = Add(stream, Project(hidden, layer.down), pre_norm_, layer.feed_forward_norm, next);
  }
  return !pre_norm_ && last_norm_.weight ? Normalise(stream.x, last_norm_) : stream.read;
}

}  // namespace attnkit::ops
