// Recurrent layers over packed sentences: the recurrence of RNN (Elman, 1990), LSTM (Hochreiter & Schmidhuber, 1997)
// and GRU (Cho et al., 2014), given the projected inputs of all tokens.
//
// Sizes: T packed tokens, B sentences, H hidden, D directions, G gates of a unit (1, 4, 3). Gates stand in PyTorch's
// order, and its GRU is meant: the reset gate acts on the product of the state, not on the state.
//   RNN   h' = act(x + u)                                     x, u: the unit's parts of the projected input and of
//   LSTM  i, f, o = sigmoid(x + u), g = tanh(x + u)                 u = weight · h + bias
//         c' = f c + i g, h' = o tanh(c')                     order i, f, g, o
//   GRU   r, z = sigmoid(x + u), n = tanh(x + r u)
//         h' = (1 - z) n + z h                                order r, z, n
//
// A float32 result of a sentence does not depend on the sentences beside it, and nothing depends on the number of
// threads.
#pragma once

#include <array>
#include <cstdint>

#include "attnkit/kernels/gemm.h"
#include "attnkit/kernels/kernel.h"

namespace attnkit::kernels {

enum class RecurrentCell { kRnnTanh = 0, kRnnRelu, kLstm, kGru };

inline int64_t GatesOf(RecurrentCell cell) {
  return cell == RecurrentCell::kLstm ? 4 : cell == RecurrentCell::kGru ? 3 : 1;
}

struct RecurrentShape {
  RecurrentCell cell = RecurrentCell::kGru;
  int64_t batch = 0, hidden = 0;
  const int32_t* offsets = nullptr;  // [B + 1]
  int64_t directions = 1;            // 2: the first direction reads forwards, the second backwards
  bool reverse = false;              // one direction: it reads backwards

  int64_t gates() const { return GatesOf(cell); }
  int64_t tokens() const { return offsets[batch]; }
  bool reversed(int64_t direction) const { return directions == 1 ? reverse : direction == 1; }
};

// weight: of each direction, [H, G·H] packed, the transposed recurrent matrix. bias [D·G·H] and the initial states
// [D, B, H] may be null (zeros). An empty sentence passes its initial state on.
struct RecurrentForwardCall {
  RecurrentShape shape;
  const float* projected;  // [T, D·G·H]
  std::array<const PackedMatrix*, 2> weight;
  const float *bias, *initial_state, *initial_cell;
  float* output;                    // [T, D·H]: h of every token
  float *final_state, *final_cell;  // [D, B, H]; the state may be null, the cell is LSTM's
  // What backward reads; null when it will not run. gates [T, D·G·H]: the activated gates. kept [T, D·H]: the cells of
  // LSTM, the candidate's u of GRU; unused by RNN.
  float *gates, *kept;
};
void RecurrentForward(const RecurrentForwardCall& call);

// weight: of each direction, [G·H, H] packed, the recurrent matrix as it is. Gradients that are not given or wanted may
// be null.
struct RecurrentBackwardCall {
  RecurrentShape shape;
  std::array<const PackedMatrix*, 2> weight;
  const float *initial_state, *initial_cell, *output;  // as in forward
  const float *doutput, *dfinal_state, *dfinal_cell;
  // Forward's gates and kept, overwritten by gradients: gates by those of the projected input, which are also those of
  // u, except for GRU's candidate: its u's are left in `kept`.
  float *gates, *kept;
  float *dinitial_state, *dinitial_cell;  // [D, B, H]
};
void RecurrentBackward(const RecurrentBackwardCall& call);

// previous [T, H] = the state of one direction before each token, given the output [T, D·H] and initial_state [D, B, H]
// (may be null): what the weight's gradient multiplies.
void PreviousStates(const RecurrentShape& shape, int64_t direction, const float* output, const float* initial_state,
                    float* previous);

// The simpler simple recurrent unit (SSRU: Kim et al., 2019, section 3.3): f = sigmoid(g + bias), c' = f c + (1 - f) x,
// h = relu(c'), where projected [T, 2·H] holds g and x of every token. No number of the state reads another.
struct SsruShape {
  int64_t batch = 0, hidden = 0;
  const int32_t* offsets = nullptr;  // [B + 1]

  int64_t tokens() const { return offsets[batch]; }
};
struct SsruForwardCall {
  SsruShape shape;
  const float *projected, *bias;  // [H]
  const float* initial;           // c before the first token [B, H]; null: zeros
  float* output;                  // [T, H]
  float* final;                   // c behind the last token [B, H], or null; may be `initial`
  float *forget, *cells;          // f and c of every token [T, H], which backward reads; null when it will not run
};
void SsruForward(const SsruForwardCall& call);

struct SsruBackwardCall {
  SsruShape shape;
  const float *projected, *initial, *forget, *cells;  // as in forward
  const float *doutput, *dfinal;                      // null: zeros
  float* dprojected;  // [T, 2·H]; the gradient of the bias is the sum over tokens of its first half
  float* dinitial;    // [B, H] or null
};
void SsruBackward(const SsruBackwardCall& call);

// Their slots in the table of a device.
struct RecurrentKernels : virtual Table {
  Kernel<kernels::RecurrentForward> RecurrentForward{"recurrent", *this};
  Kernel<kernels::RecurrentBackward> RecurrentBackward{"recurrent backward", *this};
  Kernel<kernels::PreviousStates> PreviousStates{"previous_states", *this};
  Kernel<kernels::SsruForward> SsruForward{"ssru", *this};
  Kernel<kernels::SsruBackward> SsruBackward{"ssru backward", *this};
};

}  // namespace attnkit::kernels
