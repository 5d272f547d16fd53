// A step of decoding: the state of the hypotheses, a stack of decoder layers, the best tokens.
#include "attnkit/ops/decoding.h"
#include "casts.h"

namespace attnkit::python {
namespace {

using ops::DecoderStack;
using ops::DecoderState;
using ByteArray = py::array_t<uint8_t, py::array::c_style>;

// Moves the field `name` out of what Python gave; TypeError, which names it, where it is missing or of another type.
template <typename T>
void Take(py::kwargs& given, const char* name, T& field) {
  const py::object value = given.contains(name) ? given.attr("pop")(name) : py::none();
  if (!py::isinstance<T>(value)) {
    throw py::type_error(Concat("[decoder_layer] expected ", name, " as ",
                                py::cast<std::string>(py::type::of<T>().attr("__name__")), ", got ",
                                value.is_none() ? "none" : Py_TYPE(value.ptr())->tp_name));
  }
  field = py::cast<T>(value);
}

DecoderStack::Layer MakeLayer(py::kwargs given) {
  DecoderStack::Layer layer;
  Take(given, "self_norm", layer.self_norm);
  Take(given, "self_projection", layer.self_projection);
  Take(given, "self_output", layer.self_output);
  Take(given, "cross_norm", layer.cross_norm);
  Take(given, "cross_query", layer.cross_query);
  Take(given, "cross_output", layer.cross_output);
  Take(given, "feed_forward_norm", layer.feed_forward_norm);
  Take(given, "up", layer.up);
  Take(given, "down", layer.down);
  for (const auto& [name, value] : given) {
    throw py::type_error(Concat("[decoder_layer] expected no field ", py::cast<std::string>(name)));
  }
  return layer;
}

DecoderStack MakeStack(std::vector<DecoderStack::Layer> layers, const std::optional<DecoderStack::Norm>& last_norm,
                       bool pre_norm, int64_t heads, const std::optional<std::string>& activation) {
  return {std::move(layers), last_norm.value_or(DecoderStack::Norm()), pre_norm, heads, ParseActivation(activation)};
}

py::tuple Step(const DecoderStack& stack, const Tensor& x, DecoderState& state, bool return_weights) {
  Tensor result, weights;
  {
    py::gil_scoped_release release;
    result = stack.Step(x, state, return_weights ? &weights : nullptr);
  }
  return py::make_tuple(result, OrNone(weights));
}

py::tuple MemoryAttention(const Tensor& query, const DecoderState& state, int64_t layer, int64_t heads,
                          bool return_weights) {
  Tensor result, weights;
  {
    py::gil_scoped_release release;
    result = ops::MemoryAttention(query, state, layer, heads, return_weights ? &weights : nullptr);
  }
  return py::make_tuple(result, OrNone(weights));
}

py::tuple BestTokens(const Tensor& hidden, const Tensor& weight, const std::optional<Tensor>& bias, int64_t k,
                     const Int32Array& asked_offsets, const Int32Array& asked_ids, const ByteArray& excluded,
                     const std::optional<ByteArray>& allowed, const std::optional<Int32Array>& groups) {
  ATTNKIT_CHECK(hidden.rank() == 2 && weight.rank() == 2, "[best_tokens] expected hidden [rows, D] and weight [V, D]");
  ATTNKIT_CHECK(excluded.size() == asked_ids.size(), "[best_tokens] expected excluded as long as asked_ids, ",
                asked_ids.size(), ", got ", excluded.size());
  ATTNKIT_CHECK(!allowed || (allowed->ndim() == 2 && allowed->shape(1) == weight.dim(0) && groups),
                "[best_tokens] expected allowed [groups, ", weight.dim(0), "] with the group of each row");
  ops::BestTokensOptions options;
  options.k = k;
  options.asked_offsets = ToIndices(asked_offsets);
  options.asked_ids = ToIndices(asked_ids);
  options.excluded = excluded.data();
  if (allowed) {
    options.allowed = allowed->data();
    options.allowed_groups = allowed->shape(0);
    options.groups = ToIndices(groups);
  }
  const std::vector<int64_t> shape{hidden.dim(0), k};
  FloatArray values(shape), asked_values(asked_ids.size());
  Int32Array indices(shape);
  float *value_data = values.mutable_data(), *asked_data = asked_values.mutable_data();
  int32_t* index_data = indices.mutable_data();
  {
    py::gil_scoped_release release;
    ops::BestTokens(hidden, weight, OrUndefined(bias), options, value_data, index_data, asked_data);
  }
  return py::make_tuple(values, indices, asked_values);
}

void BindDecoderStack(py::module_& m) {
  py::class_<DecoderStack::Projection>(m, "DecoderProjection", "Weight and bias of a linear layer.")
      .def(py::init([](const Tensor& weight, const std::optional<Tensor>& bias) {
             return DecoderStack::Projection{weight, OrUndefined(bias), nullptr};
           }),
           py::kw_only(), py::arg("weight"), py::arg("bias") = py::none());
  py::class_<DecoderStack::Norm>(m, "DecoderNorm", "Weight, bias and eps of a layer norm.")
      .def(py::init([](const Tensor& weight, const Tensor& bias, float eps) {
             return DecoderStack::Norm{weight, bias, eps};
           }),
           py::kw_only(), py::arg("weight"), py::arg("bias"), py::arg("eps"));
  py::class_<DecoderStack::Layer>(m, "DecoderLayer", "The weights of a Transformer decoder layer.")
      .def(py::init(&MakeLayer));
  py::class_<DecoderStack>(m, "DecoderStack", "A stack of Transformer decoder layers, a token at a time.")
      .def(py::init(&MakeStack), py::kw_only(), py::arg("layers"), py::arg("last_norm"), py::arg("pre_norm"),
           py::arg("heads"), py::arg("activation"))
      .def("step", &Step, py::arg("x"), py::arg("state"), py::arg("return_weights") = false);
}

}  // namespace

void BindDecoding(py::module_& m) {
  using Unlocked = py::call_guard<py::gil_scoped_release>;
  py::class_<DecoderState>(m, "DecoderState", "The hypotheses that a Transformer is writing, one a row.")
      .def(py::init([](std::vector<Tensor> key_values, const Int32Array& offsets) {
             return DecoderState(std::move(key_values), ToIndices(offsets));
           }),
           py::arg("key_values"), py::arg("offsets"))
      .def_property_readonly("rows", &DecoderState::rows)
      .def_property_readonly("position", &DecoderState::position)
      .def("advance", &DecoderState::Advance)
      .def(
          "select", [](DecoderState& state, const Int32Array& rows) { state.Select(ToIndices(rows)); },
          py::arg("rows"));
  BindDecoderStack(m);
  m.def("cached_attention", &ops::CachedAttention, Unlocked());
  m.def("memory_attention", &MemoryAttention);
  m.def("best_tokens", &BestTokens);
}

}  // namespace attnkit::python
