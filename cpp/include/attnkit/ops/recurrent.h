// Recurrent units over packed sentences, and their single steps. The units are those of attnkit/kernels/recurrent.h.
//
// Sizes: T packed tokens, B sentences, R rows, H hidden, D directions, G gates of a unit.
#pragma once

#include "attnkit/kernels/recurrent.h"
#include "attnkit/ops/indices.h"
#include "attnkit/tensor.h"

namespace attnkit::ops {

enum class Direction { kForward, kBackward, kBoth };

struct RecurrentResult {
  Tensor output;       // [T, D·H]
  Tensor state, cell;  // [D, B, H] behind the last token that each direction reads; cell of LSTM, else undefined
};
// projected [T, D·G·H] holds the inputs' part of the gates, their bias included; weight [D·G·H, H]; bias [D·G·H], added
// to the product of weight and state, and the initial state and cell [D, B, H] may be undefined (zeros).
RecurrentResult Recurrent(kernels::RecurrentCell unit, Direction direction, const Tensor& projected,
                          const Tensor& weight, const Tensor& bias, const Indices& offsets, const Tensor& state,
                          const Tensor& cell);

struct RecurrentState {
  Tensor state, cell;  // [R, H]
};
// One step of R independent rows: projected [R, G·H], weight [G·H, H], bias [G·H] or undefined, state (and LSTM's cell)
// [R, H].
RecurrentState RecurrentStep(kernels::RecurrentCell unit, const Tensor& projected, const Tensor& weight,
                             const Tensor& bias, const Tensor& state, const Tensor& cell);

struct SsruResult {
  Tensor output;  // [T, H]
  Tensor state;   // [B, H], the cell behind the last token
};
// The SSRU of attnkit/kernels/recurrent.h: projected [T, 2·H], bias [H], state [B, H] or undefined (zeros).
SsruResult Ssru(const Tensor& projected, const Tensor& bias, const Indices& offsets, const Tensor& state);

}  // namespace attnkit::ops
