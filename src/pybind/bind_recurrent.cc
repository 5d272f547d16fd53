// The recurrent ops. Defaults, NumPy inputs and docstrings are in attnkit/ops.py.
#include "attnkit/ops/recurrent.h"
#include "casts.h"

namespace attnkit::python {
namespace {

using OptionalTensor = std::optional<Tensor>;

kernels::RecurrentCell ParseUnit(const std::string& name) {
  using kernels::RecurrentCell;
  if (name == "gru") return RecurrentCell::kGru;
  if (name == "lstm") return RecurrentCell::kLstm;
  if (name == "tanh") return RecurrentCell::kRnnTanh;
  if (name == "relu") return RecurrentCell::kRnnRelu;
  Fail("[rnn] expected the nonlinearity \"tanh\" or \"relu\", got \"", name, "\"");
}

ops::Direction ParseDirection(const std::string& name) {
  if (name == "forward") return ops::Direction::kForward;
  if (name == "backward") return ops::Direction::kBackward;
  if (name == "both") return ops::Direction::kBoth;
  Fail("[recurrent] expected the direction \"forward\", \"backward\" or \"both\", got \"", name, "\"");
}

py::tuple Recurrent(const std::string& unit, const Tensor& projected, const ops::Indices& offsets, const Tensor& weight,
                    const OptionalTensor& bias, const OptionalTensor& state, const OptionalTensor& cell,
                    const std::string& direction) {
  const kernels::RecurrentCell parsed = ParseUnit(unit);
  const ops::Direction reads = ParseDirection(direction);
  ops::RecurrentResult result;
  {
    py::gil_scoped_release release;
    result = ops::Recurrent(parsed, reads, projected, weight, OrUndefined(bias), offsets, OrUndefined(state),
                            OrUndefined(cell));
  }
  return py::make_tuple(result.output, result.state, OrNone(result.cell));
}

py::tuple RecurrentStep(const std::string& unit, const Tensor& projected, const Tensor& weight,
                        const OptionalTensor& bias, const Tensor& state, const OptionalTensor& cell) {
  const kernels::RecurrentCell parsed = ParseUnit(unit);
  ops::RecurrentState result;
  {
    py::gil_scoped_release release;
    result = ops::RecurrentStep(parsed, projected, weight, OrUndefined(bias), state, OrUndefined(cell));
  }
  return py::make_tuple(result.state, OrNone(result.cell));
}

py::tuple Ssru(const Tensor& projected, const ops::Indices& offsets, const Tensor& bias, const OptionalTensor& state) {
  ops::SsruResult result;
  {
    py::gil_scoped_release release;
    result = ops::Ssru(projected, bias, offsets, OrUndefined(state));
  }
  return py::make_tuple(result.output, result.state);
}

}  // namespace

void BindRecurrent(py::module_& m) {
  m.def("recurrent", &Recurrent);
  m.def("recurrent_step", &RecurrentStep);
  m.def("ssru", &Ssru);
}

}  // namespace attnkit::python
