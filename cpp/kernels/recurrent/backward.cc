#include <algorithm>
#include <cstring>

#include "attnkit/profile.h"
#include "attnkit/threads.h"
#include "kernels/gemm/kernel.h"
#include "kernels/recurrent/gates.h"
#include "kernels/recurrent/plan.h"

namespace attnkit::kernels {
namespace recurrent {
namespace {

// A group on its way back from its last step to its first.
class BackwardWalk {
 public:
  BackwardWalk(const RecurrentBackwardCall& call, const GateFunctions& gates, const Group& group)
      : call_(call),
        gates_(gates),
        group_(group),
        hidden_(call.shape.hidden),
        width_(call.shape.gates() * call.shape.hidden),
        lstm_(call.shape.cell == RecurrentCell::kLstm),
        dproduct_row_(width_ + kRowPadding),
        dproduct_(group.count * dproduct_row_),
        dstate_(group.count * hidden_),
        dcell_(lstm_ ? group.count * hidden_ : 0) {}

  void Run() {
    Begin(call_.dfinal_state, dstate_);
    Begin(call_.dfinal_cell, dcell_);
    int64_t active = 0;
    for (int64_t step = group_.longest() - 1; step >= 0; --step) {
      while (active < group_.count && group_.sentences[active].length > step) ++active;
      Update(step, active);
      if (step > 0 || call_.dinitial_state) Multiply(active);
    }
    End(dstate_, call_.dinitial_state);
    End(dcell_, call_.dinitial_cell);
  }

 private:
  int64_t StateOffset(int64_t i) const {
    return (group_.direction * call_.shape.batch + group_.sentences[i].index) * hidden_;
  }

  void Begin(const float* dfinal, Buffer<float>& rows) {
    if (!dfinal) return std::fill(rows.begin(), rows.end(), 0.0f);
    for (int64_t i = 0; i < group_.count; ++i)
      std::memcpy(rows.data() + i * hidden_, dfinal + StateOffset(i), hidden_ * sizeof(float));
  }

  void End(const Buffer<float>& rows, float* dinitial) const {
    for (int64_t i = 0; dinitial && i < group_.count; ++i)
      std::memcpy(dinitial + StateOffset(i), rows.data() + i * hidden_, hidden_ * sizeof(float));
  }

  int64_t Place(int64_t i, int64_t step) const {
    return group_.token(i, step) * call_.shape.directions + group_.direction;
  }

  // h (or LSTM's c) before the step.
  const float* Previous(int64_t i, int64_t step) const {
    if (step > 0) return (lstm_ ? call_.kept : call_.output) + Place(i, step - 1) * hidden_;
    const float* initial = lstm_ ? call_.initial_cell : call_.initial_state;
    return initial ? initial + StateOffset(i) : nullptr;
  }

  void Update(int64_t step, int64_t rows) {
    BackwardRow row = RowOf(0, step);
    for (int64_t i = 0; i < rows; ++i) {
      const BackwardRow next = i + 1 < rows ? RowOf(i + 1, step) : row;
      gates_.backward(row, next);
      row = next;
    }
  }

  BackwardRow RowOf(int64_t i, int64_t step) {
    const int64_t place = Place(i, step);
    BackwardRow row;
    row.hidden = hidden_;
    row.doutput = call_.doutput ? call_.doutput + place * hidden_ : nullptr;
    row.previous = Previous(i, step);
    row.gates = call_.gates + place * width_;
    row.kept = call_.kept ? call_.kept + place * hidden_ : nullptr;
    row.dproduct = dproduct_.data() + i * dproduct_row_;
    row.dstate = dstate_.data() + i * hidden_;
    row.dcell = dcell_.data() + i * hidden_;
    return row;
  }

  // dstate = dproduct · weight, and for GRU what is there already: the state also reaches the next one directly.
  void Multiply(int64_t rows) {
    Epilogue epilogue;
    epilogue.accumulate = call_.shape.cell == RecurrentCell::kGru;
    gemm::MultiplyInThread(dproduct_.data(), dproduct_row_, rows, *call_.weight[group_.direction], dstate_.data(),
                           hidden_, epilogue);
  }

  const RecurrentBackwardCall& call_;
  const GateFunctions& gates_;
  const Group& group_;
  // Rows of a power of two would all start in the same set of the first-level cache, which the product reads from.
  static constexpr int64_t kRowPadding = 16;

  const int64_t hidden_, width_;
  const bool lstm_;
  const int64_t dproduct_row_;
  Buffer<float> dproduct_, dstate_, dcell_;
};

}  // namespace
}  // namespace recurrent

void RecurrentBackward(const RecurrentBackwardCall& call) {
  const recurrent::Plan plan(call.shape);
  CountArithmetic(recurrent::Operations(call.shape), static_cast<int>(call.weight[0]->precision));
  const recurrent::GateFunctions gates = recurrent::GateFunctionsFor(call.shape.cell);
  ParallelFor(plan.groups(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) recurrent::BackwardWalk(call, gates, plan.at(i)).Run();
  });
}

void PreviousStates(const RecurrentShape& shape, int64_t direction, const float* output, const float* initial_state,
                    float* previous) {
  const int64_t hidden = shape.hidden, row = shape.directions * hidden;
  const bool reverse = shape.reversed(direction);
  const float* states = output + direction * hidden;
  ParallelFor(shape.batch, 16, [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b) {
      const int64_t begin = shape.offsets[b], end = shape.offsets[b + 1], start = reverse ? end - 1 : begin;
      for (int64_t t = begin; t < end; ++t) {
        float* to = previous + t * hidden;
        if (t != start) {
          std::memcpy(to, states + (reverse ? t + 1 : t - 1) * row, hidden * sizeof(float));
        } else if (initial_state) {
          std::memcpy(to, initial_state + (direction * shape.batch + b) * hidden, hidden * sizeof(float));
        } else {
          std::fill_n(to, hidden, 0.0f);
        }
      }
    }
  });
}

}  // namespace attnkit::kernels
