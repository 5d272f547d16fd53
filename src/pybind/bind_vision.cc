// The ops on images. Defaults, NumPy inputs and docstrings are in attnkit/ops.py.
#include "attnkit/ops/vision.h"
#include "casts.h"

namespace attnkit::python {
namespace {

using OptionalTensor = std::optional<Tensor>;

Tensor Conv2d(const Tensor& x, const Tensor& weight, const OptionalTensor& bias, ops::Pair stride, ops::Pair padding,
              int64_t groups, const std::optional<std::string>& activation) {
  return ops::Conv2d(x, weight, OrUndefined(bias), {stride, padding, groups, ParseActivation(activation)});
}

Tensor MaxPool2d(const Tensor& x, ops::Pair kernel, ops::Pair stride, ops::Pair padding) {
  return ops::MaxPool2d(x, {kernel, stride, padding});
}

Tensor AvgPool2d(const Tensor& x, ops::Pair kernel, ops::Pair stride, ops::Pair padding) {
  return ops::AvgPool2d(x, {kernel, stride, padding});
}

Tensor BatchNorm(const Tensor& x, const OptionalTensor& residual, const Tensor& weight, const Tensor& bias,
                 Tensor running_mean, Tensor running_variance, bool training, float momentum, float eps, bool relu) {
  return ops::BatchNorm(x, OrUndefined(residual), weight, bias, running_mean, running_variance,
                        {training, momentum, eps, relu});
}

}  // namespace

void BindVision(py::module_& m) {
  using Unlocked = py::call_guard<py::gil_scoped_release>;
  m.def("conv2d", &Conv2d, Unlocked());
  m.def("max_pool2d", &MaxPool2d, Unlocked());
  m.def("avg_pool2d", &AvgPool2d, Unlocked());
  m.def("batch_norm", &BatchNorm, Unlocked());
  m.def("patches", &ops::Patches, Unlocked());
  m.def("scale_channels", &ops::ScaleChannels, Unlocked());
  m.def("add_scaled_sequences", &ops::AddScaledSequences, Unlocked());
}

}  // namespace attnkit::python
