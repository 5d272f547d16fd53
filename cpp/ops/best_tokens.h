// What the output layer of decoding asks of its arguments, over a whole vocabulary or a part of one.
#pragma once

#include "attnkit/ops/decoding.h"

namespace attnkit::ops {

// Throws std::invalid_argument unless hidden [rows, D], weight [V, D], bias [V] or undefined, k and the asked tokens
// fit each other.
void CheckOutputLayer(const Tensor& hidden, const Tensor& weight, const Tensor& bias, const BestTokensOptions& options);

}  // namespace attnkit::ops
