#include "attnkit/ops/recurrent.h"
#include "attnkit/op_scope.h"

#include <array>
#include <memory>
#include <numeric>
#include <utility>

#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/precision.h"
#include "ops/offsets.h"
#include "ops/optional.h"

namespace attnkit::ops {
namespace {

using kernels::RecurrentCell;
using kernels::RecurrentShape;
using PackedPair = std::array<std::shared_ptr<const kernels::PackedMatrix>, 2>;

const char* NameOf(RecurrentCell unit) {
  return unit == RecurrentCell::kLstm ? "lstm" : unit == RecurrentCell::kGru ? "gru" : "rnn";
}

const char* StepNameOf(RecurrentCell unit) {
  return unit == RecurrentCell::kLstm ? "lstm_cell" : unit == RecurrentCell::kGru ? "gru_cell" : "rnn_cell";
}

struct Inputs {
  Tensor projected, weight, bias, state, cell;  // bias, state and cell may be undefined
  std::vector<Tensor> all() const { return {projected, weight, bias, state, cell}; }
};

struct Saved {
  RecurrentShape shape;
  Indices offsets;      // keeps what `shape` points to alive
  Tensor weight, bias;  // in the tape: a step adds to the gradients of leaves
  Tensor state, cell, output, gates, kept;
  bool need_state, need_cell;
  kernels::Precision precision;
  bool step;  // every sentence is one token, and has a state
};

// The matrix [G·H, H] of each direction, or its transpose, as a right-hand side.
PackedPair PackWeight(const RecurrentShape& shape, const Tensor& weight, bool transpose, kernels::Precision precision) {
  const int64_t hidden = shape.hidden, width = shape.gates() * hidden;
  PackedPair packed;
  for (int64_t d = 0; d < shape.directions; ++d) {
    const int64_t offset = weight.offset() + d * width * hidden;
    packed[d] = transpose ? weight.storage().Packed(offset, hidden, width, 1, hidden, precision)
                          : weight.storage().Packed(offset, width, hidden, hidden, 1, precision);
  }
  return packed;
}

// dweight (+)= du^T · previous, over all tokens at once. GRU's candidate has its gradients of u in `kept`.
void WeightGradient(const Saved& s, int64_t direction, const float* previous, bool accumulate, float* dweight) {
  const RecurrentShape& shape = s.shape;
  const int64_t hidden = shape.hidden, width = shape.gates() * hidden, tokens = shape.tokens();
  const bool gru = shape.cell == RecurrentCell::kGru;
  const int64_t rows = gru ? 2 * hidden : width;
  const kernels::PackedMatrix states = s.gates.kernels().PackMatrix(previous, tokens, hidden, hidden, 1, s.precision);
  kernels::Epilogue epilogue;
  epilogue.accumulate = accumulate;
  s.gates.kernels().Gemm(s.gates.data() + direction * width, 1, shape.directions * width, rows, states, dweight, hidden,
                         epilogue);
  if (!gru) return;
  s.kept.kernels().Gemm(s.kept.data() + direction * hidden, 1, shape.directions * hidden, hidden, states,
                        dweight + rows * hidden, hidden, epilogue);
}

void BiasGradient(const Saved& s, int64_t direction, bool accumulate, float* dbias) {
  const RecurrentShape& shape = s.shape;
  const int64_t hidden = shape.hidden, width = shape.gates() * hidden, tokens = shape.tokens();
  const bool gru = shape.cell == RecurrentCell::kGru;
  const int64_t columns = gru ? 2 * hidden : width;
  s.gates.kernels().ColumnSums(s.gates.data() + direction * width, tokens, columns, shape.directions * width,
                               accumulate, dbias);
  if (!gru) return;
  s.kept.kernels().ColumnSums(s.kept.data() + direction * hidden, tokens, hidden, shape.directions * hidden, accumulate,
                              dbias + columns);
}

// A decoder takes thousands of steps with the same weight: theirs are added to the leaf in place.
struct ParameterGradient {
  Tensor target, returned;  // undefined when not wanted
  bool in_place;

  ParameterGradient(const Tensor& parameter, bool step) : in_place(step && parameter && parameter.is_leaf()) {
    if (!parameter.requires_grad()) return;
    target = in_place ? LeafGradient(parameter) : parameter.New(parameter.shape());
    if (!in_place) returned = target;
  }
};

struct Upstream {
  Tensor output, state, cell;  // undefined where no gradient arrived
};

// In the order of the inputs.
std::vector<Tensor> RecurrentBackward(const Saved& s, const Upstream& dy) {
  const RecurrentShape& shape = s.shape;
  const Tensor dstate = s.need_state ? s.state.New(s.state.shape()) : Tensor();
  const Tensor dcell = s.need_cell ? s.cell.New(s.cell.shape()) : Tensor();
  const PackedPair packed = PackWeight(shape, s.weight, false, s.precision);
  kernels::RecurrentBackwardCall call;
  call.shape = shape;
  call.weight = {packed[0].get(), packed[1].get()};
  call.initial_state = DataOrNull(s.state), call.initial_cell = DataOrNull(s.cell), call.output = s.output.data();
  call.doutput = DataOrNull(dy.output), call.dfinal_state = DataOrNull(dy.state),
  call.dfinal_cell = DataOrNull(dy.cell);
  call.gates = s.gates.data(), call.kept = DataOrNull(s.kept);
  call.dinitial_state = DataOrNull(dstate), call.dinitial_cell = DataOrNull(dcell);
  s.gates.kernels().RecurrentBackward(call);

  const ParameterGradient dweight(s.weight, s.step), dbias(s.bias, s.step);
  const int64_t width = shape.gates() * shape.hidden;
  for (int64_t d = 0; d < shape.directions; ++d) {
    if (dweight.target) {
      Tensor previous = s.state;
      if (!s.step) {
        previous = s.output.New({shape.tokens(), shape.hidden});
        s.output.kernels().PreviousStates(shape, d, s.output.data(), DataOrNull(s.state), previous.data());
      }
      WeightGradient(s, d, previous.data(), dweight.in_place, dweight.target.data() + d * width * shape.hidden);
    }
    if (dbias.target) BiasGradient(s, d, dbias.in_place, dbias.target.data() + d * width);
  }
  return {s.gates, dweight.returned, dbias.returned, dstate, dcell};
}

// Runs the kernel into `result`, and keeps what backward needs when it is recorded. `final_state` may be null.
void RecurrentForward(Saved& s, const Inputs& inputs, bool record, RecurrentResult& result) {
  const RecurrentShape& shape = s.shape;
  const int64_t tokens = shape.tokens(), states = shape.directions * shape.hidden;
  s.precision = WeightPrecision(record);
  s.weight = inputs.weight, s.bias = inputs.bias;
  s.state = inputs.state ? inputs.state.Detach() : Tensor(), s.cell = inputs.cell ? inputs.cell.Detach() : Tensor();
  s.need_state = inputs.state.requires_grad(), s.need_cell = inputs.cell.requires_grad();
  result.output = inputs.projected.New({tokens, states});
  if (record) {
    s.output = Kept(result.output);
    s.gates = inputs.projected.New(inputs.projected.shape());
    if (shape.cell == RecurrentCell::kLstm && s.step) {
      s.kept = Kept(result.cell);
    } else if (shape.cell == RecurrentCell::kLstm || shape.cell == RecurrentCell::kGru) {
      s.kept = inputs.projected.New({tokens, states});
    }
  }
  const PackedPair packed = PackWeight(shape, inputs.weight, true, s.precision);
  kernels::RecurrentForwardCall call;
  call.shape = shape;
  call.projected = inputs.projected.data();
  call.weight = {packed[0].get(), packed[1].get()};
  call.bias = DataOrNull(inputs.bias), call.initial_state = DataOrNull(inputs.state),
  call.initial_cell = DataOrNull(inputs.cell);
  call.output = result.output.data(), call.final_state = DataOrNull(result.state),
  call.final_cell = DataOrNull(result.cell);
  call.gates = DataOrNull(s.gates), call.kept = DataOrNull(s.kept);
  inputs.projected.kernels().RecurrentForward(call);
}

// Sizes that follow from the weight; everything else must fit them.
RecurrentShape CheckedShape(const std::string& op, RecurrentCell unit, int64_t directions, const Inputs& inputs) {
  const Tensor &weight = inputs.weight, &projected = inputs.projected, &bias = inputs.bias;
  const int64_t blocks = directions * kernels::GatesOf(unit);
  ATTNKIT_CHECK(weight.rank() == 2 && weight.dim(1) > 0 && weight.dim(0) == blocks * weight.dim(1), "[", op,
                "] expected weight of shape [", blocks, "·H, H], got ", ToString(weight.shape()));
  ATTNKIT_CHECK(projected.rank() == 2 && projected.dim(1) == weight.dim(0), "[", op,
                "] expected projected of shape [T, ", weight.dim(0), "], got ", ToString(projected.shape()));
  ATTNKIT_CHECK(!bias || bias.shape() == Shape{weight.dim(0)}, "[", op, "] expected bias of shape [", weight.dim(0),
                "], got ", ToString(bias.shape()));
  ATTNKIT_CHECK(unit == RecurrentCell::kLstm || !inputs.cell, "[", op, "] expected a cell for an LSTM alone");
  RecurrentShape shape;
  shape.cell = unit;
  shape.hidden = weight.dim(1);
  shape.directions = directions;
  return shape;
}

void CheckState(const std::string& op, const char* what, const Tensor& state, const Shape& expected) {
  ATTNKIT_CHECK(!state || state.shape() == expected, "[", op, "] expected ", what, " of shape ", ToString(expected),
                ", got ", ToString(state.shape()));
}

}  // namespace

RecurrentResult Recurrent(RecurrentCell unit, Direction direction, const Tensor& projected, const Tensor& weight,
                          const Tensor& bias, const Indices& offsets, const Tensor& state, const Tensor& cell) {
  const OpScope scope(NameOf(unit), {&projected, &weight, &bias, &state, &cell});
  const Inputs inputs{projected, weight, bias, state, cell};
  const std::string op = NameOf(unit);
  Saved saved;
  RecurrentShape& shape = saved.shape;
  shape = CheckedShape(op, unit, direction == Direction::kBoth ? 2 : 1, inputs);
  CheckOffsets(op.c_str(), "offsets", offsets, projected.dim(0));
  shape.batch = offsets.size() - 1;
  shape.offsets = offsets.data();
  shape.reverse = direction == Direction::kBackward;
  const Shape states{shape.directions, shape.batch, shape.hidden};
  CheckState(op, "state", state, states);
  CheckState(op, "cell", cell, states);

  saved.offsets = offsets;
  saved.step = false;
  RecurrentResult result;
  result.state = projected.New(states);
  if (unit == RecurrentCell::kLstm) result.cell = projected.New(states);
  const bool record = NeedsGrad(inputs.all());
  RecurrentForward(saved, inputs, record, result);
  if (record) {
    std::vector<Tensor*> outputs{&result.output, &result.state};
    if (result.cell) outputs.push_back(&result.cell);
    Record(NameOf(unit), inputs.all(), outputs, [saved](std::vector<Tensor>& dy) {
      return RecurrentBackward(saved, {dy[0], dy[1], dy.size() > 2 ? dy[2] : Tensor()});
    });
  }
  return result;
}

RecurrentState RecurrentStep(RecurrentCell unit, const Tensor& projected, const Tensor& weight, const Tensor& bias,
                             const Tensor& state, const Tensor& cell) {
  const OpScope scope(StepNameOf(unit), {&projected, &weight, &bias, &state, &cell});
  const Inputs inputs{projected, weight, bias, state, cell};
  const std::string op = StepNameOf(unit);
  Saved saved;
  RecurrentShape& shape = saved.shape;
  shape = CheckedShape(op, unit, 1, inputs);
  shape.batch = projected.dim(0);
  const Shape states{shape.batch, shape.hidden};
  CheckState(op, "state", state, states);
  CheckState(op, "cell", cell, states);

  // To the kernel, rows are sentences of one token.
  Buffer<int32_t> offsets(shape.batch + 1);
  std::iota(offsets.begin(), offsets.end(), 0);
  saved.offsets = Indices(std::move(offsets));
  shape.offsets = saved.offsets.data();
  saved.step = true;
  RecurrentResult result;
  if (unit == RecurrentCell::kLstm) result.cell = projected.New(states);
  const bool record = NeedsGrad(inputs.all());
  RecurrentForward(saved, inputs, record, result);
  if (record) {
    std::vector<Tensor*> outputs{&result.output};
    if (result.cell) outputs.push_back(&result.cell);
    Record(StepNameOf(unit), inputs.all(), outputs, [saved](std::vector<Tensor>& dy) {
      return RecurrentBackward(saved, {dy[0], Tensor(), dy.size() > 1 ? dy[1] : Tensor()});
    });
  }
  return {result.output, result.cell};
}

}  // namespace attnkit::ops
