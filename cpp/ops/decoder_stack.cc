#include <algorithm>
#include <iterator>
#include <numeric>
#include <utility>

#include "attnkit/check.h"
#include "attnkit/kernels/elementwise.h"
#include "attnkit/kernels/memory.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/op_scope.h"
#include "attnkit/ops/decoding.h"
#include "attnkit/precision.h"
#include "ops/optional.h"
#include "ops/position_bias.h"
#include "ops/step_attention.h"

namespace attnkit::ops {
namespace {

using Norm = DecoderStack::Norm;
using Projection = DecoderStack::Projection;

// The buffers of a step, for all layers, in one piece of memory: allocations would be a part of a step of one
// hypothesis.
class Scratch {
 public:
  // `attended`: of all heads together. `projected` is the widest. `gated` may have no column.
  Scratch(const Tensor& x, int64_t attended, int64_t projected, int64_t gated) {
    const int64_t sizes[] = {Lines(x.size()),
                             Lines(x.size()),
                             Lines(x.size()),
                             Lines(x.dim(0) * attended),
                             Lines(x.dim(0) * projected),
                             Lines(x.dim(0) * gated)};
    memory_ = x.New({std::accumulate(std::begin(sizes), std::end(sizes), int64_t{0})});
    float* next = memory_.data();
    float** const buffers[] = {&stream, &read, &result, &this->attended, &this->projected, &this->gated};
    for (size_t i = 0; i < std::size(sizes); ++i) *buffers[i] = std::exchange(next, next + sizes[i]);
  }

  float *stream, *read, *result, *attended, *projected, *gated;

 private:
  static int64_t Lines(int64_t size) { return (size + 15) / 16 * 16; }  // whole cache lines

  Tensor memory_;
};

class Stepper {
 public:
  Stepper(const Tensor& x, const Scratch& buffers, bool pre_norm)
      : k_(x.kernels()), rows_(x.dim(0)), width_(x.dim(1)), pre_norm_(pre_norm), b_(buffers) {}

  // What the next sublayer reads: the residual stream, or its norm.
  const float* read() const { return pre_norm_ ? b_.read : b_.stream; }

  void Begin(const float* x, const Norm& first) {
    k_.Copy(x, rows_ * width_, b_.stream);
    if (pre_norm_) Normalise(first, b_.stream, b_.read);
  }

  void Project(const float* x, const Projection& p, float* to,
               kernels::Activation activation = kernels::Activation::kNone) const {
    kernels::Epilogue epilogue;
    epilogue.bias = DataOrNull(p.bias);
    epilogue.activation = activation;
    k_.Gemm(x, p.packed->k, 1, rows_, *p.packed, to, p.packed->n, epilogue);
  }

  // Adds a sublayer's result. Pre-norm needs the sum and the norm of the next sublayer (null behind the last one),
  // post-norm the sublayer's own norm of the sum.
  void Add(const float* result, const Norm& own, const Norm* next) {
    float* stream = b_.stream;
    if (pre_norm_ && !next) return k_.Add(stream, result, rows_ * width_, stream);
    const Norm& norm = pre_norm_ ? *next : own;
    float* sum = pre_norm_ ? stream : b_.read;
    float* normed = pre_norm_ ? b_.read : stream;
    k_.AddDropoutLayerNormForward(result, stream, DataOrNull(norm.weight), DataOrNull(norm.bias), rows_, width_,
                                  norm.eps, 0.0f, {}, sum, normed, nullptr, nullptr, norm.kind);
  }

  void Normalise(const Norm& norm, const float* x, float* to) const {
    k_.AddDropoutLayerNormForward(x, nullptr, DataOrNull(norm.weight), DataOrNull(norm.bias), rows_, width_, norm.eps,
                                  0.0f, {}, nullptr, to, nullptr, nullptr, norm.kind);
  }

  void FeedForward(const DecoderStack::Layer& layer, kernels::Activation activation) {
    float* hidden = b_.projected;
    if (layer.gate.packed) {
      Project(read(), layer.gate, b_.gated, activation);
      Project(read(), layer.up, hidden);
      k_.Multiply(b_.gated, hidden, rows_ * layer.up.packed->n, hidden);
    } else {
      Project(read(), layer.up, hidden, activation);
    }
    Project(hidden, layer.down, b_.result);
  }

 private:
  const Kernels& k_;
  int64_t rows_, width_;
  bool pre_norm_;
  const Scratch& b_;
};

void CheckShape(const char* field, const char* part, const Tensor& x, const Shape& shape) {
  ATTNKIT_CHECK(x && x.shape() == shape, "[decoder_stack] expected ", field, ".", part, " of shape ", ToString(shape),
                ", got ", x ? ToString(x.shape()) : "none");
}

void CheckNorm(const char* field, const Norm& norm, int64_t width) {
  CheckShape(field, "weight", norm.weight, {width});
  if (norm.kind == kernels::Norm::kLayer) CheckShape(field, "bias", norm.bias, {width});
}

void Pack(const char* field, Projection& projection, const Shape& shape) {
  CheckShape(field, "weight", projection.weight, shape);
  if (projection.bias) CheckShape(field, "bias", projection.bias, {shape[0]});
  projection.packed = projection.weight.Packed(true, WeightPrecision(false));
}

// Checks a layer, whose heads are `attended` wide together, and packs its weights. Returns the width of the
// feed-forward network.
int64_t PackLayer(DecoderStack::Layer& layer, int64_t width, int64_t attended) {
  const int64_t ffn = layer.up.weight.rank() == 2 ? layer.up.weight.dim(0) : 0;
  CheckNorm("self_norm", layer.self_norm, width);
  if (layer.ssru.weight) {
    CheckShape("ssru", "weight", layer.ssru.weight, {2 * width, width});
    CheckShape("ssru", "bias", layer.ssru.bias, {width});
    layer.ssru.packed = layer.ssru.weight.Packed(true, WeightPrecision(false));
  } else {
    Pack("self_projection", layer.self_projection, {3 * attended, width});
    Pack("self_output", layer.self_output, {width, attended});
  }
  CheckNorm("cross_norm", layer.cross_norm, width);
  Pack("cross_query", layer.cross_query, {attended, width});
  Pack("cross_output", layer.cross_output, {width, attended});
  CheckNorm("feed_forward_norm", layer.feed_forward_norm, width);
  Pack("up", layer.up, {ffn, width});
  Pack("down", layer.down, {width, ffn});
  if (layer.gate.weight) Pack("gate", layer.gate, {ffn, width});
  return ffn;
}

}  // namespace

DecoderStack::DecoderStack(std::vector<Layer> layers, Norm last_norm, bool pre_norm, int64_t heads,
                           kernels::Activation activation, Alignment alignment)
    : layers_(std::move(layers)),
      last_norm_(std::move(last_norm)),
      pre_norm_(pre_norm),
      heads_(heads),
      activation_(activation),
      alignment_(alignment) {
  ATTNKIT_CHECK(!layers_.empty(), "[decoder_stack] expected at least one layer, got none");
  const Tensor& first = layers_[0].cross_output.weight;
  const int64_t width = first.rank() == 2 ? first.dim(0) : 0, count = static_cast<int64_t>(layers_.size());
  attended_ = first.rank() == 2 ? first.dim(1) : 0;
  ATTNKIT_CHECK(width > 0 && attended_ > 0 && heads > 0 && attended_ % heads == 0,
                "[decoder_stack] expected cross_output.weight of shape [D, W] and a divisor of W as heads, got ",
                ToString(first.shape()), " and ", heads);
  ATTNKIT_CHECK(alignment.layer >= -1 && alignment.layer < count && alignment.head >= kernels::kMeanOfHeads &&
                    alignment.head < heads,
                "[decoder_stack] expected an alignment among ", count, " layers of ", heads, " heads, got layer ",
                alignment.layer, " and head ", alignment.head);
  if (alignment_.layer == -1) alignment_.layer = count - 1;
  widest_ = std::max(3 * attended_, 2 * width);
  for (Layer& layer : layers_) {
    ATTNKIT_CHECK(bool(layer.ssru.weight) == bool(layers_[0].ssru.weight),
                  "[decoder_stack] expected an SSRU in every layer or in none");
    const int64_t ffn = PackLayer(layer, width, attended_);
    widest_ = std::max(widest_, ffn);
    if (layer.gate.weight) widest_gate_ = std::max(widest_gate_, ffn);
  }
  if (last_norm_.weight) CheckNorm("last_norm", last_norm_, width);
}

Tensor DecoderStack::Step(const Tensor& x, DecoderState& state, Tensor* weights, const Tensor& position_bias) const {
  const OpScope scope("decoder_step", {&x, &state.key_value(0), &position_bias});
  const int64_t count = static_cast<int64_t>(layers_.size()), rows = state.rows();
  const int64_t width = layers_[0].cross_query.packed->k;
  const int64_t cells = layers_[0].ssru.weight ? width : 0;
  ATTNKIT_CHECK(state.layers() == count && state.width() == attended_ && state.cells() == cells,
                "[decoder_step] expected a state of ", count, " layers of width ", attended_, " with ", cells,
                " cells, got ", state.layers(), " of ", state.width(), " with ", state.cells());
  ATTNKIT_CHECK((x.shape() == Shape{rows, width}), "[decoder_step] expected x of shape [", rows, ", ", width, "], got ",
                ToString(x.shape()));
  if (position_bias) PositionBiasOf("decoder_step", position_bias, heads_, 0);
  state.Advance();
  const Tensor bias = BiasOfStep("decoder_step", position_bias, state, heads_, state.position());
  const Scratch b(x, attended_, widest_, widest_gate_);
  Stepper step(x, b, pre_norm_);
  step.Begin(x.data(), layers_[0].self_norm);
  for (int64_t l = 0; l < count; ++l) {
    const Layer& layer = layers_[l];
    const Norm* next = l + 1 < count ? &layers_[l + 1].self_norm : last_norm_.weight ? &last_norm_ : nullptr;
    if (cells) {
      step.Project(step.read(), {layer.ssru.weight, Tensor(), layer.ssru.packed}, b.projected);
      StepSsru(b.projected, layer.ssru.bias.data(), state, l, b.result);
    } else {
      step.Project(step.read(), layer.self_projection, b.projected);
      AttendToHistory(b.projected, state, l, heads_, StepBiasOf(bias), b.attended);
      step.Project(b.attended, layer.self_output, b.result);
    }
    step.Add(b.result, layer.self_norm, &layer.cross_norm);
    step.Project(step.read(), layer.cross_query, b.projected);
    AttendToSources(b.projected, state, l, heads_, {}, b.attended, l == alignment_.layer ? weights : nullptr,
                    alignment_.head);
    step.Project(b.attended, layer.cross_output, b.result);
    step.Add(b.result, layer.cross_norm, &layer.feed_forward_norm);
    step.FeedForward(layer, activation_);
    step.Add(b.result, layer.feed_forward_norm, next);
  }
  Tensor result = x.New({rows, width});
  if (!pre_norm_ && last_norm_.weight) {
    step.Normalise(last_norm_, b.stream, result.data());
  } else {
    x.kernels().Copy(pre_norm_ && last_norm_.weight ? b.read : b.stream, rows * width, result.data());
  }
  return result;
}

}  // namespace attnkit::ops
