// RecurrentForward and PreviousStates of attnkit/kernels/recurrent.h on CUDA: a product a step and direction, and one
// kernel for the gates.
#include "attnkit/profile.h"
#include "cuda/kernels.h"
#include "cuda/recurrent_plan.h"
#include "cuda/row_threads.h"

namespace attnkit::cuda {
namespace {

using kernels::RecurrentCell;

__device__ float Sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// A number of the state of every sentence that takes the step, element by element of [D, active, H].
template <RecurrentCell kCell>
struct ForwardStep {
  RecurrentRows rows;
  int64_t step, active;
  const float *projected, *bias;
  const float* product;  // [D, B, G·H] u = weight · h + bias; null where h is 0: then u is the bias
  float *state, *cell;   // [D, B, H]
  float *output, *gates, *kept;

  __device__ void operator()(int64_t element) const {
    const int64_t hidden = rows.hidden, h = element % hidden, row = element / hidden;
    const int64_t direction = row / active, i = row % active, place = rows.place(direction, i, step);
    const int64_t at = rows.scratch(direction, i) * hidden + h, out = place * hidden + h;
    const float* x = projected + place * rows.width() + h;
    float* gate = gates ? gates + place * rows.width() + h : nullptr;
    const float* u = product ? product + rows.scratch(direction, i) * rows.width() + h
                     : bias  ? bias + direction * rows.width() + h
                             : nullptr;
    float next;
    if constexpr (kCell == RecurrentCell::kLstm) {
      const float in = Sigmoid(x[0] + Of(u, 0)), forget = Sigmoid(x[hidden] + Of(u, 1));
      const float candidate = tanhf(x[2 * hidden] + Of(u, 2)), open = Sigmoid(x[3 * hidden] + Of(u, 3));
      const float c = forget * cell[at] + in * candidate;
      cell[at] = c;
      next = open * tanhf(c);
      if (gate) {
        gate[0] = in;
        gate[hidden] = forget;
        gate[2 * hidden] = candidate;
        gate[3 * hidden] = open;
        kept[out] = c;
      }
    } else if constexpr (kCell == RecurrentCell::kGru) {
      const float reset = Sigmoid(x[0] + Of(u, 0)), update = Sigmoid(x[hidden] + Of(u, 1)), product_part = Of(u, 2);
      const float candidate = tanhf(x[2 * hidden] + reset * product_part);
      next = update * (state[at] - candidate) + candidate;
      if (gate) {
        gate[0] = reset;
        gate[hidden] = update;
        gate[2 * hidden] = candidate;
        kept[out] = product_part;
      }
    } else {
      const float pre = x[0] + Of(u, 0);
      next = kCell == RecurrentCell::kRnnTanh ? tanhf(pre) : pre < 0.0f ? 0.0f : pre;  // NaN stays
      if (gate) gate[0] = next;
    }
    state[at] = next;
    output[out] = next;
  }

 private:
  __device__ float Of(const float* u, int64_t gate) const { return u ? u[gate * rows.hidden] : 0.0f; }
};

template <RecurrentCell kCell>
void Forward(const kernels::RecurrentForwardCall& call) {
  const RecurrentWalk walk(call.shape);
  const RecurrentRows rows = walk.rows();
  const int64_t batch = rows.batch, hidden = rows.hidden, width = rows.gates * hidden;
  constexpr bool kHasCell = kCell == RecurrentCell::kLstm;
  const Scratch<float> product(rows.directions * batch * width), state(walk.states()),
      cell(kHasCell ? walk.states() : 0);
  float* const cells = kHasCell ? cell.data() : nullptr;
  ForEach(walk.states(), GatherStates{rows, {call.initial_state, call.initial_cell}, {state.data(), cells}});
  for (int64_t step = 0; step < walk.steps(); ++step) {
    const int64_t active = walk.active(step);
    const bool multiply = step > 0 || call.initial_state;
    if (!multiply) {  // by zeros: it counts, as on the CPU
      CountArithmetic(2.0 * rows.directions * active * width * hidden, static_cast<int>(call.weight[0]->precision));
    }
    for (int64_t d = 0; multiply && d < rows.directions; ++d) {
      kernels::Epilogue epilogue;
      epilogue.bias = call.bias ? call.bias + d * width : nullptr;
      cuda::Gemm(state.data() + d * batch * hidden, hidden, 1, active, *call.weight[d],
                 product.data() + d * batch * width, width, epilogue);
    }
    ForEach(rows.directions * active * hidden,
            ForwardStep<kCell>{rows, step, active, call.projected, call.bias, multiply ? product.data() : nullptr,
                               state.data(), cells, call.output, call.gates, call.kept});
  }
  float* const final_cell = kHasCell ? call.final_cell : nullptr;
  if (call.final_state || final_cell)
    ForEach(walk.states(), ScatterStates{rows, {state.data(), cells}, {call.final_state, final_cell}});
}

struct PreviousRow {
  const int32_t* offsets;
  int64_t batch, hidden, directions, direction;
  bool reverse;
  const float *output, *initial;
  float* previous;
  template <typename Threads>
  __device__ void operator()(Threads& threads, int64_t t) const {
    int64_t low = 0, high = batch;  // the sentence of t: the last one to begin at or before it
    while (high - low > 1) {
      const int64_t middle = low + (high - low) / 2;
      (offsets[middle] <= t ? low : high) = middle;
    }
    const float* from = nullptr;
    if (t != (reverse ? offsets[low + 1] - 1 : offsets[low])) {
      from = output + ((reverse ? t + 1 : t - 1) * directions + direction) * hidden;
    } else if (initial) {
      from = initial + (direction * batch + low) * hidden;
    }
    for (int64_t h = threads.thread(); h < hidden; h += Threads::kThreads)
      previous[t * hidden + h] = from ? from[h] : 0.0f;
  }
};
}  // namespace

void RecurrentForward(const kernels::RecurrentForwardCall& call) {
  switch (call.shape.cell) {
    case RecurrentCell::kRnnTanh: return Forward<RecurrentCell::kRnnTanh>(call);
    case RecurrentCell::kRnnRelu: return Forward<RecurrentCell::kRnnRelu>(call);
    case RecurrentCell::kLstm: return Forward<RecurrentCell::kLstm>(call);
    case RecurrentCell::kGru: return Forward<RecurrentCell::kGru>(call);
  }
}

void PreviousStates(const kernels::RecurrentShape& shape, int64_t direction, const float* output,
                    const float* initial_state, float* previous) {
  const Uploaded<int32_t> offsets(shape.offsets, shape.batch + 1);
  ForEachRow(shape.tokens(), shape.hidden,
             PreviousRow{offsets.data(), shape.batch, shape.hidden, shape.directions, direction,
                         shape.reversed(direction), output, initial_state, previous});
}

}  // namespace attnkit::cuda
