// Differentiable functions written in Python, and Python that follows a backward pass.
#include <unordered_map>

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

void BackwardWatched(const Tensor& root, const std::optional<Tensor>& gradient, const std::vector<Tensor>& leaves,
                     py::object on_ready) {
  std::unordered_map<const void*, size_t> numbers;
  for (size_t i = 0; i < leaves.size(); ++i) numbers.emplace(leaves[i].id(), i);
  const auto kept = Keep(std::move(on_ready));
  py::gil_scoped_release release;
  Backward(root, OrUndefined(gradient), [&](const Tensor& leaf) {
    const auto number = numbers.find(leaf.id());
    if (number == numbers.end()) return;
    py::gil_scoped_acquire gil;
    (*kept)(number->second);
  });
}

}  // namespace

// backward(*output_gradients) returns a Tensor or None for each input.
void BindFunction(py::module_& m) {
  m.def("record_function", &RecordFunction, py::arg("inputs"), py::arg("results"), py::arg("backward"));
  m.def("backward_watched", &BackwardWatched, py::arg("root"), py::arg("gradient"), py::arg("leaves"),
        py::arg("on_ready"));
}

}  // namespace attnkit::python
