// A step of decoding: the state of the hypotheses, a stack of decoder layers, the best tokens.
#include "attnkit/ops/decoding.h"
#include "casts.h"

namespace attnkit::python {
namespace {

using ops::DecoderStack;
using ops::DecoderState;
using ByteArray = py::array_t<uint8_t, py::array::c_style>;
using WeightAndBias = std::pair<Tensor, std::optional<Tensor>>;
using NormParts = std::tuple<Tensor, Tensor, float>;  // weight, bias, eps

DecoderStack::Projection ToProjection(const WeightAndBias& parts) {
  return {parts.first, OrUndefined(parts.second), nullptr};
}
DecoderStack::Norm ToNorm(const NormParts& parts) {
  return {std::get<0>(parts), std::get<1>(parts), std::get<2>(parts)};
}

// In the order of DecoderStack::Layer.
DecoderStack::Layer ToLayer(const py::tuple& parts) {
  const auto projection = [&](int i) { return ToProjection(py::cast<WeightAndBias>(parts[i])); };
  const auto norm = [&](int i) { return ToNorm(py::cast<NormParts>(parts[i])); };
  return {projection(0), projection(1), norm(2),       projection(3), projection(4),
          norm(5),       projection(6), projection(7), norm(8)};
}

DecoderStack MakeStack(const std::vector<py::tuple>& layers, const std::optional<NormParts>& last_norm, bool pre_norm,
                       int64_t heads, const std::optional<std::string>& activation) {
  std::vector<DecoderStack::Layer> converted;
  for (const py::tuple& layer : layers) converted.push_back(ToLayer(layer));
  return {std::move(converted), last_norm ? ToNorm(*last_norm) : DecoderStack::Norm(), pre_norm, heads,
          ParseActivation(activation)};
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
  py::class_<DecoderStack>(m, "DecoderStack", "A stack of Transformer decoder layers, a token at a time.")
      .def(py::init(&MakeStack), py::arg("layers"), py::arg("last_norm"), py::arg("pre_norm"), py::arg("heads"),
           py::arg("activation"))
      .def("step", &Step, py::arg("x"), py::arg("state"), py::arg("return_weights") = false);
  m.def("cached_attention", &ops::CachedAttention, Unlocked());
  m.def("memory_attention", &MemoryAttention);
  m.def("best_tokens", &BestTokens);
}

}  // namespace attnkit::python
