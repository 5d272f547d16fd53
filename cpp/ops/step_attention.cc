#include "ops/step_attention.h"

#include <algorithm>
#include <cmath>

#include "attnkit/check.h"
#include "attnkit/kernels/decoding.h"
#include "attnkit/kernels/memory.h"
#include "attnkit/op_scope.h"
#include "ops/position_bias.h"

namespace attnkit::ops {
namespace {

kernels::StepAttention StepOf(const float* query, int64_t query_row, const DecoderState& state, int64_t heads,
                              StepBias bias, float* output) {
  kernels::StepAttention step;
  step.rows = state.rows();
  step.heads = heads;
  step.d_head = state.width() / heads;
  step.query = query;
  step.query_row = query_row;
  step.scale = 1.0f / std::sqrt(static_cast<float>(step.d_head));
  step.bias = bias.data;
  step.bias_row = bias.row;
  step.output = output;
  return step;
}

void Check(const char* op, const Tensor& query, int64_t columns, const DecoderState& state, int64_t layer,
           int64_t heads) {
  ATTNKIT_CHECK((query.shape() == Shape{state.rows(), columns}), "[", op, "] expected a query of shape [", state.rows(),
                ", ", columns, "], got ", ToString(query.shape()));
  ATTNKIT_CHECK(layer >= 0 && layer < state.layers(), "[", op, "] expected a layer below ", state.layers(), ", got ",
                layer);
  ATTNKIT_CHECK(heads > 0 && state.width() % heads == 0, "[", op, "] expected a divisor of ", state.width(),
                " as heads, got ", heads);
}

}  // namespace

Tensor BiasOfStep(const char* op, const Tensor& table, const DecoderState& state, int64_t heads, int64_t keys) {
  if (!table) return Tensor();
  const int64_t newest = std::max<int64_t>(state.position() - 1, 0);
  const kernels::PositionBias bias = PositionBiasOf(op, table, heads, newest);
  Tensor spread = table.New({heads, keys});
  table.kernels().SpreadPositionBias(bias, table.data(), 1, keys, spread.data());
  return spread;
}

void AttendToHistory(const float* projected, DecoderState& state, int64_t layer, int64_t heads, StepBias bias,
                     float* output) {
  const int64_t width = state.width();
  const Kernels& k = state.kernels();
  k.CopyRows(projected + width, 3 * width, state.rows(), 2 * width, state.Newest(layer), 2 * width);
  const std::vector<const float*> blocks = state.Blocks(layer);
  k.AttendToCache(StepOf(projected, 3 * width, state, heads, bias, output),
                  {blocks.data(), state.places(), state.places_row(), state.position()});
}

void AttendToSources(const float* query, const DecoderState& state, int64_t layer, int64_t heads, StepBias bias,
                     float* output, Tensor* weights) {
  kernels::StepAttention step = StepOf(query, state.width(), state, heads, bias, output);
  if (weights) {
    *weights = state.key_value(layer).New({state.rows(), state.longest_source()});
    step.weights = weights->data();
    step.weights_row = weights->dim(1);
  }
  state.kernels().AttendToMemory(step, {state.key_value(layer).data(), state.offsets(), state.source_of()});
}

Tensor CachedAttention(const Tensor& projected, DecoderState& state, int64_t layer, int64_t heads,
                       const Tensor& position_bias) {
  const OpScope scope("cached_attention", {&projected, &state.key_value(0), &position_bias});
  Check("cached_attention", projected, 3 * state.width(), state, layer, heads);
  ATTNKIT_CHECK(state.is_advanced(), "[cached_attention] expected a state that was advanced after its last selection");
  const Tensor bias = BiasOfStep("cached_attention", position_bias, state, heads, state.position());
  Tensor output = state.key_value(layer).New({state.rows(), state.width()});
  AttendToHistory(projected.data(), state, layer, heads, StepBiasOf(bias), output.data());
  return output;
}

Tensor MemoryAttention(const Tensor& query, const DecoderState& state, int64_t layer, int64_t heads,
                       const Tensor& position_bias, Tensor* weights) {
  const OpScope scope("memory_attention", {&query, &state.key_value(0), &position_bias});
  Check("memory_attention", query, state.width(), state, layer, heads);
  const int64_t keys = position_bias ? state.longest_source() : 0;
  const Tensor bias = BiasOfStep("memory_attention", position_bias, state, heads, keys);
  Tensor output = state.key_value(layer).New({state.rows(), state.width()});
  AttendToSources(query.data(), state, layer, heads, StepBiasOf(bias), output.data(), weights);
  return output;
}

}  // namespace attnkit::ops
