// RecurrentBackward of attnkit/kernels/recurrent.h on CUDA.
#include "attnkit/profile.h"
#include "cuda/kernels.h"
#include "cuda/recurrent_plan.h"

namespace attnkit::cuda {
namespace {

using kernels::RecurrentCell;

// dy times the derivative, given the function's value.
__device__ float SigmoidGradient(float y, float dy) { return dy * (y - y * y); }
__device__ float TanhGradient(float y, float dy) { return dy * (1.0f - y * y); }

// Of [D, active, H].
template <RecurrentCell kCell>
struct BackwardStep {
  RecurrentRows rows;
  int64_t step, active;
  const float *initial, *before;  // of what a state was before the step: c of LSTM, h of GRU [D, B, H] and [T, D·H]
  const float* doutput;
  float *gates, *kept;
  float* dproduct;        // [D, B, G·H] the gradient of u
  float *dstate, *dcell;  // [D, B, H] what reaches h' and c' from later steps, becomes what reaches c, and h of GRU
                          // beside the product

  __device__ void operator()(int64_t element) const {
    const int64_t hidden = rows.hidden, h = element % hidden, row = element / hidden;
    const int64_t direction = row / active, i = row % active, place = rows.place(direction, i, step);
    const int64_t at = rows.scratch(direction, i) * hidden + h, out = place * hidden + h;
    float *gate = gates + place * rows.width() + h, *du = dproduct + rows.scratch(direction, i) * rows.width() + h;
    float dh = dstate[at];
    if (doutput) dh += doutput[out];
    if constexpr (kCell == RecurrentCell::kLstm) {
      const float in = gate[0], forget = gate[hidden], candidate = gate[2 * hidden], open = gate[3 * hidden];
      const float bounded = tanhf(kept[out]), dc = dcell[at] + TanhGradient(bounded, dh * open);
      gate[0] = du[0] = SigmoidGradient(in, dc * candidate);
      gate[hidden] = du[hidden] = SigmoidGradient(forget, dc * Before(direction, i, h));
      gate[2 * hidden] = du[2 * hidden] = TanhGradient(candidate, dc * in);
      gate[3 * hidden] = du[3 * hidden] = SigmoidGradient(open, dh * bounded);
      dcell[at] = dc * forget;
    } else if constexpr (kCell == RecurrentCell::kGru) {
      const float reset = gate[0], update = gate[hidden], candidate = gate[2 * hidden];
      const float dcandidate = TanhGradient(candidate, dh - dh * update);
      gate[0] = du[0] = SigmoidGradient(reset, dcandidate * kept[out]);
      gate[hidden] = du[hidden] = SigmoidGradient(update, dh * (Before(direction, i, h) - candidate));
      gate[2 * hidden] = dcandidate;
      kept[out] = du[2 * hidden] = dcandidate * reset;
      dstate[at] = dh * update;
    } else {
      const float y = gate[0];
      gate[0] = du[0] = kCell == RecurrentCell::kRnnTanh ? TanhGradient(y, dh) : y > 0.0f ? dh : 0.0f;
    }
  }

 private:
  __device__ float Before(int64_t direction, int64_t i, int64_t h) const {
    if (step > 0) return before[rows.place(direction, i, step - 1) * rows.hidden + h];
    return initial ? initial[rows.state(direction, i) * rows.hidden + h] : 0.0f;
  }
};

template <RecurrentCell kCell>
void Backward(const kernels::RecurrentBackwardCall& call) {
  const RecurrentWalk walk(call.shape);
  const RecurrentRows rows = walk.rows();
  const int64_t batch = rows.batch, hidden = rows.hidden, width = rows.gates * hidden;
  constexpr bool kHasCell = kCell == RecurrentCell::kLstm;
  const Scratch<float> dproduct(rows.directions * batch * width), dstate(walk.states()),
      dcell(kHasCell ? walk.states() : 0);
  float* const dcells = kHasCell ? dcell.data() : nullptr;
  ForEach(walk.states(), GatherStates{rows, {call.dfinal_state, call.dfinal_cell}, {dstate.data(), dcells}});
  for (int64_t step = walk.steps() - 1; step >= 0; --step) {
    const int64_t active = walk.active(step);
    ForEach(rows.directions * active * hidden,
            BackwardStep<kCell>{rows, step, active, kHasCell ? call.initial_cell : call.initial_state,
                                kHasCell ? call.kept : call.output, call.doutput, call.gates, call.kept,
                                dproduct.data(), dstate.data(), dcells});
    if (step == 0 && !call.dinitial_state) {  // nobody wants the product: it counts, as on the CPU
      CountArithmetic(2.0 * rows.directions * active * width * hidden, static_cast<int>(call.weight[0]->precision));
      break;
    }
    // dstate = dproduct · weight, and for GRU what is there already: the state also reaches the next one directly.
    kernels::Epilogue epilogue;
    epilogue.accumulate = kCell == RecurrentCell::kGru;
    for (int64_t d = 0; d < rows.directions; ++d) {
      cuda::Gemm(dproduct.data() + d * batch * width, width, 1, active, *call.weight[d],
                 dstate.data() + d * batch * hidden, hidden, epilogue);
    }
  }
  float* const dinitial_cell = kHasCell ? call.dinitial_cell : nullptr;
  if (call.dinitial_state || dinitial_cell)
    ForEach(walk.states(), ScatterStates{rows, {dstate.data(), dcells}, {call.dinitial_state, dinitial_cell}});
}
}  // namespace

void RecurrentBackward(const kernels::RecurrentBackwardCall& call) {
  switch (call.shape.cell) {
    case RecurrentCell::kRnnTanh: return Backward<RecurrentCell::kRnnTanh>(call);
    case RecurrentCell::kRnnRelu: return Backward<RecurrentCell::kRnnRelu>(call);
    case RecurrentCell::kLstm: return Backward<RecurrentCell::kLstm>(call);
    case RecurrentCell::kGru: return Backward<RecurrentCell::kGru>(call);
  }
}

}  // namespace attnkit::cuda
