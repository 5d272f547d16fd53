// The ops. Defaults, NumPy inputs and docstrings are in attnkit/ops.py.
#include "attnkit/ops/attention.h"
#include "attnkit/ops/loss.h"
#include "attnkit/ops/product.h"
#include "attnkit/ops/rows.h"
#include "attnkit/ops/shape.h"
#include "casts.h"

namespace attnkit::python {

kernels::Activation ParseActivation(const std::optional<std::string>& name) {
  using kernels::Activation;
  if (!name) return Activation::kNone;
  if (*name == "relu") return Activation::kRelu;
  if (*name == "gelu") return Activation::kGelu;
  if (*name == "silu") return Activation::kSilu;
  if (*name == "tanh") return Activation::kTanh;
  if (*name == "sigmoid") return Activation::kSigmoid;
  if (*name == "gelu_tanh") return Activation::kGeluTanh;
  if (*name == "quick_gelu") return Activation::kQuickGelu;
  Fail("[activation] expected relu, gelu, silu, tanh, sigmoid, gelu_tanh, quick_gelu or None, got \"", *name, "\"");
}

namespace {

using OptionalTensor = std::optional<Tensor>;
using BoolArray = AlignedArray<bool>;
using Mask = std::optional<std::variant<Tensor, BoolArray>>;
using Window = std::optional<std::pair<int64_t, int64_t>>;

// The one place where Python's keywords become options of attention; what they mean is in attnkit/ops.py.
ops::AttentionOptions MakeAttentionOptions(const Mask& mask, bool causal, const Window& window, int64_t query_offset,
                                           std::optional<float> scale, std::optional<float> softcap, float dropout,
                                           bool return_weights, const OptionalTensor& position_bias) {
  ops::AttentionOptions options;
  if (mask && std::holds_alternative<Tensor>(*mask)) {
    options.mask = std::get<Tensor>(*mask);
  } else if (mask) {
    const BoolArray& array = std::get<BoolArray>(*mask);
    options.bool_mask_owner = Keep(array);
    options.bool_mask = reinterpret_cast<const uint8_t*>(array.data());
    options.bool_mask_shape = ShapeOf(array);
  }
  options.causal = causal;
  if (window) std::tie(options.window_left, options.window_right) = *window;
  options.query_offset = query_offset;
  options.scale = scale;
  options.softcap = softcap.value_or(0.0f);
  options.dropout = dropout;
  options.return_weights = return_weights;
  options.position_bias = OrUndefined(position_bias);
  return options;
}

py::tuple ToPython(const ops::AttentionResult& result) { return py::make_tuple(result.output, OrNone(result.weights)); }

py::tuple Attention(const Tensor& query, const Tensor& key, const Tensor& value, const ops::AttentionOptions& options) {
  ops::AttentionResult result;
  {
    py::gil_scoped_release release;
    result = ops::Attention(query, key, value, options);
  }
  return ToPython(result);
}

py::tuple PackedAttention(const Tensor& query, const OptionalTensor& key, const OptionalTensor& value,
                          const ops::Indices& query_offsets, const ops::Indices& key_offsets, int64_t heads,
                          int64_t kv_heads, const ops::AttentionOptions& options) {
  ops::AttentionResult result;
  {
    py::gil_scoped_release release;
    result = ops::PackedAttention(query, OrUndefined(key), OrUndefined(value), query_offsets, key_offsets, heads,
                                  kv_heads, options);
  }
  return ToPython(result);
}

Tensor Embedding(const ops::Indices& ids, const Tensor& weight, float scale, const OptionalTensor& positions,
                 const std::optional<ops::Indices>& position_ids, float dropout) {
  return ops::Embedding(ids, weight, scale, OrUndefined(positions), OrUndefined(position_ids), dropout);
}

py::tuple LinearCrossEntropy(const Tensor& hidden, const Tensor& weight, const OptionalTensor& bias,
                             const ops::Indices& labels, float label_smoothing, int32_t ignore_index) {
  ops::LinearCrossEntropyResult result;
  {
    py::gil_scoped_release release;
    result = ops::LinearCrossEntropy(hidden, weight, OrUndefined(bias), labels, {label_smoothing, ignore_index});
  }
  return py::make_tuple(result.loss, result.nll_sum, result.tokens);
}

Tensor CrossEntropy(const Tensor& logits, const ops::Indices& labels, float label_smoothing, int32_t ignore_index) {
  return ops::CrossEntropy(logits, labels, {label_smoothing, ignore_index});
}

Tensor Linear(const Tensor& x, const Tensor& weight, const OptionalTensor& bias,
              const std::optional<std::string>& activation) {
  return ops::Linear(x, weight, OrUndefined(bias), ParseActivation(activation));
}

std::pair<Tensor, Tensor> AddDropoutLayerNorm(const Tensor& x, const OptionalTensor& residual,
                                              const OptionalTensor& weight, const OptionalTensor& bias, float dropout,
                                              float eps) {
  const ops::AddNorm result =
      ops::AddDropoutLayerNorm(x, OrUndefined(residual), OrUndefined(weight), OrUndefined(bias), dropout, eps);
  return {result.sum, result.normed};
}

std::pair<Tensor, Tensor> AddDropoutRmsNorm(const Tensor& x, const OptionalTensor& residual,
                                            const OptionalTensor& weight, float dropout, float eps) {
  const ops::AddNorm result = ops::AddDropoutRmsNorm(x, OrUndefined(residual), OrUndefined(weight), dropout, eps);
  return {result.sum, result.normed};
}

}  // namespace

void BindOps(py::module_& m) {
  using Unlocked = py::call_guard<py::gil_scoped_release>;
  m.def("softmax", &ops::Softmax, Unlocked());
  m.def("log_softmax", &ops::LogSoftmax, Unlocked());
  m.def("add_dropout_layer_norm", &AddDropoutLayerNorm, Unlocked());
  m.def("add_dropout_rms_norm", &AddDropoutRmsNorm, Unlocked());
  m.def("dropout", &ops::Dropout, Unlocked());
  m.def("add_dropout", &ops::AddDropout, Unlocked());
  m.def("matmul", &ops::MatMul, Unlocked());
  m.def("linear", &Linear, Unlocked());
  m.def("concatenate", &ops::Concatenate, Unlocked());
  m.def("gather_rows", &ops::GatherRows, Unlocked());
  m.def("embedding", &Embedding, Unlocked());
  m.def("cross_entropy", &CrossEntropy, Unlocked());
  m.def("linear_cross_entropy", &LinearCrossEntropy);
  py::class_<ops::AttentionOptions>(m, "AttentionOptions", "What attention does beside its three inputs.")
      .def(py::init(&MakeAttentionOptions), py::kw_only(), py::arg("mask") = py::none(), py::arg("causal") = false,
           py::arg("window") = py::none(), py::arg("query_offset") = 0, py::arg("scale") = py::none(),
           py::arg("softcap") = py::none(), py::arg("dropout") = 0.0f, py::arg("return_weights") = false,
           py::arg("position_bias") = py::none());
  m.def("attention", &Attention);
  m.def("packed_attention", &PackedAttention);
}

}  // namespace attnkit::python
