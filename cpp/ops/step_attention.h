// Attention of a step of decoding on plain memory, for the ops and for the whole stack; shapes have been checked.
#pragma once

#include "attnkit/ops/decoding.h"

namespace attnkit::ops {

// See CachedAttention and MemoryAttention.
void AttendToHistory(const float* projected, DecoderState& state, int64_t layer, int64_t heads, float* output);
void AttendToSources(const float* query, const DecoderState& state, int64_t layer, int64_t heads, float* output,
                     Tensor* weights);

}  // namespace attnkit::ops
