// Attention of a step of decoding on plain memory, for the ops and for the whole stack; shapes have been checked.
#pragma once

#include "attnkit/ops/decoding.h"

namespace attnkit::ops {

// What a step adds to the scores of a head's keys, [heads, row]; null: nothing.
struct StepBias {
  const float* data = nullptr;
  int64_t row = 0;
};

// A table of biases by relative position, for the newest token of every row and the keys 0 to `keys`: [heads, keys].
// Undefined where the table is.
Tensor BiasOfStep(const char* op, const Tensor& table, const DecoderState& state, int64_t heads, int64_t keys);
inline StepBias StepBiasOf(const Tensor& bias) { return bias ? StepBias{bias.data(), bias.dim(1)} : StepBias(); }

// See CachedAttention and MemoryAttention.
void AttendToHistory(const float* projected, DecoderState& state, int64_t layer, int64_t heads, StepBias bias,
                     float* output);
void AttendToSources(const float* query, const DecoderState& state, int64_t layer, int64_t heads, StepBias bias,
                     float* output, Tensor* weights, int64_t weights_head);
// One step of the layer's cells; `bias` [cells()].
void StepSsru(const float* projected, const float* bias, DecoderState& state, int64_t layer, float* output);

}  // namespace attnkit::ops
