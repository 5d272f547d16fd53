// Differentiable functions written in Python.
#include "attnkit/autograd.h"
#include "casts.h"

namespace attnkit::python {
namespace {

std::vector<Tensor> CallBackward(const py::object& backward, const std::vector<Tensor>& output_gradients) {
  py::gil_scoped_acquire gil;
  py::list arguments;
  for (const Tensor& gradient : output_gradients) arguments.append(OrNone(gradient));
  std::vector<Tensor> gradients;
  for (const py::handle& result : backward(*arguments))
    gradients.push_back(result.is_none() ? Tensor()
                                         : CastTo<Tensor>(result, "function", "tensors or None of backward"));
  return gradients;
}

std::vector<Tensor> RecordFunction(const std::vector<Tensor>& inputs, const std::vector<Tensor>& results,
                                   py::object backward) {
  std::vector<Tensor> outputs;
  for (const Tensor& result : results) outputs.push_back(result.Detach());
  if (!NeedsGrad(inputs)) return outputs;
  std::vector<Tensor*> pointers;
  for (Tensor& output : outputs) pointers.push_back(&output);
  const auto kept = Keep(std::move(backward));
  Record("function", inputs, pointers, [kept](std::vector<Tensor>& dy) { return CallBackward(*kept, dy); });
  return outputs;
}

}  // namespace

// backward(*output_gradients) returns a Tensor or None for each input.
void BindFunction(py::module_& m) {
  m.def("record_function", &RecordFunction, py::arg("inputs"), py::arg("results"), py::arg("backward"));
}

}  // namespace attnkit::python
