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

// A group on its way through its steps. Row i of the scratch belongs to the group's sentence i.
class ForwardWalk {
 public:
  ForwardWalk(const RecurrentForwardCall& call, const GateFunctions& gates, const Group& group)
      : call_(call),
        gates_(gates),
        group_(group),
        hidden_(call.shape.hidden),
        width_(call.shape.gates() * call.shape.hidden),
        zero_state_(!call.initial_state),
        product_(group.count * width_),
        state_(group.count * hidden_),
        cell_(call.shape.cell == RecurrentCell::kLstm ? group.count * hidden_ : 0) {}

  void Run() {
    Begin(call_.initial_state, state_);
    Begin(call_.initial_cell, cell_);
    int64_t active = group_.count;
    for (int64_t step = 0; step < group_.longest(); ++step) {
      while (group_.sentences[active - 1].length <= step) --active;
      Multiply(step, active);
      Update(step, active);
    }
    End(state_, call_.final_state);
    End(cell_, call_.final_cell);
  }

 private:
  int64_t StateOffset(int64_t i) const {
    return (group_.direction * call_.shape.batch + group_.sentences[i].index) * hidden_;
  }

  void Begin(const float* initial, Buffer<float>& rows) {
    if (!initial) return std::fill(rows.begin(), rows.end(), 0.0f);
    for (int64_t i = 0; i < group_.count; ++i)
      std::memcpy(rows.data() + i * hidden_, initial + StateOffset(i), hidden_ * sizeof(float));
  }

  void End(const Buffer<float>& rows, float* final) const {
    for (int64_t i = 0; final && i < group_.count; ++i)
      std::memcpy(final + StateOffset(i), rows.data() + i * hidden_, hidden_ * sizeof(float));
  }

  // product = state · weight + bias
  void Multiply(int64_t step, int64_t rows) {
    const float* bias = call_.bias ? call_.bias + group_.direction * width_ : nullptr;
    if (step > 0 || !zero_state_) {
      Epilogue epilogue;
      epilogue.bias = bias;
      return gemm::MultiplyInThread(state_.data(), hidden_, rows, *call_.weight[group_.direction], product_.data(),
                                    width_, epilogue);
    }
    for (int64_t i = 0; i < rows; ++i) {
      float* row = product_.data() + i * width_;
      if (bias) {
        std::memcpy(row, bias, width_ * sizeof(float));
      } else {
        std::fill_n(row, width_, 0.0f);
      }
    }
  }

  void Update(int64_t step, int64_t rows) {
    ForwardRow row = RowOf(0, step);
    for (int64_t i = 0; i < rows; ++i) {
      const ForwardRow next = i + 1 < rows ? RowOf(i + 1, step) : row;
      gates_.forward(row, next);
      row = next;
    }
  }

  ForwardRow RowOf(int64_t i, int64_t step) {
    const int64_t place = group_.token(i, step) * call_.shape.directions + group_.direction;
    ForwardRow row;
    row.hidden = hidden_;
    row.projected = call_.projected + place * width_;
    row.product = product_.data() + i * width_;
    row.state = state_.data() + i * hidden_;
    row.cell = cell_.data() + i * hidden_;
    row.output = call_.output + place * hidden_;
    row.gates = call_.gates ? call_.gates + place * width_ : nullptr;
    row.kept = call_.kept ? call_.kept + place * hidden_ : nullptr;
    return row;
  }

  const RecurrentForwardCall& call_;
  const GateFunctions& gates_;
  const Group& group_;
  const int64_t hidden_, width_;
  const bool zero_state_;
  Buffer<float> product_, state_, cell_;
};

}  // namespace
}  // namespace recurrent

void RecurrentForward(const RecurrentForwardCall& call) {
  const recurrent::Plan plan(call.shape);
  CountArithmetic(recurrent::Operations(call.shape), static_cast<int>(call.weight[0]->precision));
  const recurrent::GateFunctions gates = recurrent::GateFunctionsFor(call.shape.cell);
  ParallelFor(plan.groups(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) recurrent::ForwardWalk(call, gates, plan.at(i)).Run();
  });
}

}  // namespace attnkit::kernels
