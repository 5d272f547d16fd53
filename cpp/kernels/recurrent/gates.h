// One step of a recurrent unit for one sentence: everything but the matrix product. See attnkit/kernels/recurrent.h.
#pragma once

#include "attnkit/kernels/recurrent.h"

namespace attnkit::kernels::recurrent {

struct ForwardRow {
  int64_t hidden;
  const float* projected;  // [G·H]
  const float* product;    // [G·H] u = weight · h + bias
  float* state;            // [H] h, becomes h'
  float* cell;             // [H] c, becomes c' (LSTM)
  float* output;           // [H] h' once more
  float *gates, *kept;     // what backward reads, or null
};

struct BackwardRow {
  int64_t hidden;
  const float* doutput;   // [H] or null
  const float* previous;  // [H] h of GRU, c of LSTM; null for zeros
  float *gates, *kept;  // [G·H], [H] as forward left them, become the gradients of the projected input and of GRU's u
  float* dproduct;      // [G·H] the gradient of u
  float* dstate;        // [H] what reaches h' from later steps; GRU: becomes what reaches h beside the product
  float* dcell;         // [H] what reaches c' from later steps, becomes what reaches c (LSTM)
};

// `next` is the row that will be handed in after this one: its numbers are fetched into the caches meanwhile. They lie
// in another sentence, where the hardware does not foresee them.
struct GateFunctions {
  void (*forward)(const ForwardRow& row, const ForwardRow& next);
  void (*backward)(const BackwardRow& row, const BackwardRow& next);
};

GateFunctions GateFunctionsFor(RecurrentCell cell);  // for ActiveIsa()

}  // namespace attnkit::kernels::recurrent
