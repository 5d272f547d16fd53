#include "ops/step_attention.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "attnkit/check.h"
#include "attnkit/kernels/decoding.h"
#include "attnkit/kernels/memory.h"
#include "attnkit/kernels/recurrent.h"
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
                     float* output, Tensor* weights, int64_t weights_head) {
  kernels::StepAttention step = StepOf(query, state.width(), state, heads, bias, output);
  if (weights) {
    *weights = state.key_value(layer).New({state.rows(), state.longest_source()});
    step.weights = weights->data();
    step.weights_row = weights->dim(1);
    step.weights_head = weights_head;
  }
  state.kernels().AttendToMemory(step, {state.key_value(layer).data(), state.offsets(), state.source_of()});
}

void StepSsru(const float* projected, const float* bias, DecoderState& state, int64_t layer, float* output) {
  // To the kernel, rows are sentences of one token.
  const int64_t rows = state.rows();
  Buffer<int32_t> offsets(rows + 1);
  std::iota(offsets.begin(), offsets.end(), 0);
  float* cells = state.Cells(layer);
  state.kernels().SsruForward(
      {{rows, state.cells(), offsets.data()}, projected, bias, cells, output, cells, nullptr, nullptr});
}

Tensor CachedSsru(const Tensor& projected, const Tensor& bias, DecoderState& state, int64_t layer) {
  const OpScope scope("cached_ssru", {&projected, &bias, &state.key_value(0)});
  const int64_t width = state.cells();
  ATTNKIT_CHECK(width > 0, "[cached_ssru] expected a state with cells, got one without");
  ATTNKIT_CHECK((projected.shape() == Shape{state.rows(), 2 * width}), "[cached_ssru] expected projected of shape [",
                state.rows(), ", ", 2 * width, "], got ", ToString(projected.shape()));
  ATTNKIT_CHECK(bias.shape() == Shape{width}, "[cached_ssru] expected bias of shape [", width, "], got ",
                ToString(bias.shape()));
  ATTNKIT_CHECK(layer >= 0 && layer < state.layers(), "[cached_ssru] expected a layer below ", state.layers(), ", got ",
                layer);
  Tensor output = projected.New({state.rows(), width});
  StepSsru(projected.data(), bias.data(), state, layer, output.data());
  return output;
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
                       const Tensor& position_bias, Tensor* weights, int64_t weights_head) {
  const OpScope scope("memory_attention", {&query, &state.key_value(0), &position_bias});
  Check("memory_attention", query, state.width(), state, layer, heads);
  ATTNKIT_CHECK(weights_head >= kernels::kMeanOfHeads && weights_head < heads,
                "[memory_attention] expected a head below ", heads, ", got ", weights_head);
  const int64_t keys = position_bias ? state.longest_source() : 0;
  const Tensor bias = BiasOfStep("memory_attention", position_bias, state, heads, keys);
  Tensor output = state.key_value(layer).New({state.rows(), state.width()});
  AttendToSources(query.data(), state, layer, heads, StepBiasOf(bias), output.data(), weights, weights_head);
  return output;
}

}  // namespace attnkit::ops
