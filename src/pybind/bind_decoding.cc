// A step of decoding: the state of the hypotheses, a stack of decoder layers, the best tokens.
#include <limits>
#include <unordered_map>

#include "attnkit/ops/decoding.h"
#include "attnkit/ops/shortlist.h"
#include "casts.h"

namespace attnkit::python {
namespace {

using ops::DecoderStack;
using ops::DecoderState;
using ByteArray = AlignedArray<uint8_t>;

template <typename T>
constexpr const char* kExpected = "a Tensor";
template <>
constexpr const char* kExpected<float> = "a number";
template <>
constexpr const char* kExpected<std::optional<std::string>> = "a string";

// A name as Python looks it up, made once: each batch that is decoded makes a stack.
py::handle Interned(const char* name) {
  static auto& names = *new std::unordered_map<const char*, PyObject*>;
  PyObject*& interned = names[name];
  if (!interned) interned = PyUnicode_InternFromString(name);
  return interned;
}

// Reads an attribute of the part of a layer that Python gave as `field`; TypeError names both where it does not fit.
template <typename T>
T Read(const py::handle& part, const char* field, const char* attribute) {
  const py::object value = py::getattr(part, Interned(attribute), py::none());
  constexpr bool kNumber = std::is_same_v<T, float>;
  py::detail::make_caster<T> caster;
  if (!caster.load(value, kNumber)) {  // numbers may be converted; a Tensor must be one, not None
    throw py::type_error(Concat("[decoder_layer] expected ", field, ".", attribute, " to be ", kExpected<T>, ", got ",
                                Py_TYPE(value.ptr())->tp_name));
  }
  return py::detail::cast_op<T>(std::move(caster));
}

DecoderStack::Projection ReadProjection(const py::handle& linear, const char* field) {
  DecoderStack::Projection projection;
  projection.weight = Read<Tensor>(linear, field, "weight");
  projection.bias = OrUndefined(Read<std::optional<Tensor>>(linear, field, "bias"));
  return projection;
}

// Its `kind` is "layer", where there is none, or "rms", which has no bias.
DecoderStack::Norm ReadNorm(const py::handle& norm, const char* field) {
  const auto kind = Read<std::optional<std::string>>(norm, field, "kind").value_or("layer");
  if (kind != "layer" && kind != "rms") {
    throw py::value_error(Concat("[decoder_layer] expected ", field, ".kind layer or rms, got \"", kind, "\""));
  }
  const bool layer = kind == "layer";
  return {Read<Tensor>(norm, field, "weight"), layer ? Read<Tensor>(norm, field, "bias") : Tensor(),
          Read<float>(norm, field, "eps"), layer ? kernels::Norm::kLayer : kernels::Norm::kRms};
}

// Takes a field out of those that Python gave.
py::object Take(const py::kwargs& given, const char* field) {
  PyObject* value = PyDict_GetItemWithError(given.ptr(), Interned(field).ptr());
  if (!value) throw py::type_error(Concat("[decoder_layer] expected ", field, ", got none"));
  const auto taken = py::reinterpret_borrow<py::object>(value);
  PyDict_DelItem(given.ptr(), Interned(field).ptr());
  return taken;
}

DecoderStack::Layer MakeLayer(const py::kwargs& given) {
  const auto projection = [&](const char* field) { return ReadProjection(Take(given, field), field); };
  const auto norm = [&](const char* field) { return ReadNorm(Take(given, field), field); };
  DecoderStack::Layer layer;
  layer.self_norm = norm("self_norm");
  if (given.contains("ssru")) {
    layer.ssru = projection("ssru");
  } else {
    layer.self_projection = projection("self_projection");
    layer.self_output = projection("self_output");
  }
  layer.cross_norm = norm("cross_norm");
  layer.cross_query = projection("cross_query");
  layer.cross_output = projection("cross_output");
  layer.feed_forward_norm = norm("feed_forward_norm");
  layer.up = projection("up");
  layer.down = projection("down");
  if (given.contains("gate")) {
    if (const py::object gate = Take(given, "gate"); !gate.is_none()) layer.gate = ReadProjection(gate, "gate");
  }
  for (const auto& [name, value] : given) {
    throw py::type_error(Concat("[decoder_layer] expected no field ", py::cast<std::string>(name)));
  }
  return layer;
}

DecoderStack MakeStack(std::vector<DecoderStack::Layer> layers, const py::object& last_norm, bool pre_norm,
                       int64_t heads, const std::optional<std::string>& activation,
                       const std::optional<int64_t>& alignment_layer, const std::optional<int64_t>& alignment_head) {
  return {std::move(layers),
          last_norm.is_none() ? DecoderStack::Norm() : ReadNorm(last_norm, "last_norm"),
          pre_norm,
          heads,
          ParseActivation(activation),
          {alignment_layer.value_or(-1), alignment_head.value_or(kernels::kMeanOfHeads)}};
}

py::tuple Step(const DecoderStack& stack, const Tensor& x, DecoderState& state, bool return_weights,
               const std::optional<Tensor>& position_bias) {
  Tensor result, weights;
  {
    py::gil_scoped_release release;
    result = stack.Step(x, state, return_weights ? &weights : nullptr, OrUndefined(position_bias));
  }
  return py::make_tuple(result, OrNone(weights));
}

Tensor CachedAttention(const Tensor& projected, DecoderState& state, int64_t layer, int64_t heads,
                       const std::optional<Tensor>& position_bias) {
  return ops::CachedAttention(projected, state, layer, heads, OrUndefined(position_bias));
}

py::tuple MemoryAttention(const Tensor& query, const DecoderState& state, int64_t layer, int64_t heads,
                          bool return_weights, const std::optional<Tensor>& position_bias,
                          const std::optional<int64_t>& weights_head) {
  Tensor result, weights;
  {
    py::gil_scoped_release release;
    result = ops::MemoryAttention(query, state, layer, heads, OrUndefined(position_bias),
                                  return_weights ? &weights : nullptr, weights_head.value_or(kernels::kMeanOfHeads));
  }
  return py::make_tuple(result, OrNone(weights));
}

// The arrays that the best tokens are written to.
class Answer {
 public:
  Answer(const Tensor& hidden, int64_t k, const ops::Indices& asked_ids, const ByteArray& excluded) {
    ATTNKIT_CHECK(hidden.rank() == 2, "[best_tokens] expected hidden [rows, D], got ", ToString(hidden.shape()));
    ATTNKIT_CHECK(k >= 1 && k <= std::numeric_limits<int32_t>::max(), "[best_tokens] expected k of 1 or more, got ", k);
    ATTNKIT_CHECK(excluded.size() == asked_ids.size(), "[best_tokens] expected excluded as long as asked_ids, ",
                  asked_ids.size(), ", got ", excluded.size());
    const std::vector<int64_t> shape{hidden.dim(0), k};
    values_ = FloatArray(shape);
    indices_ = Int32Array(shape);
    asked_values_ = FloatArray(asked_ids.size());
    values = values_.mutable_data();
    indices = indices_.mutable_data();
    asked_values = asked_values_.mutable_data();
  }

  py::tuple arrays() const { return py::make_tuple(values_, indices_, asked_values_); }

  float *values, *asked_values;
  int32_t* indices;

 private:
  FloatArray values_, asked_values_;
  Int32Array indices_;
};

ops::BestTokensOptions Options(int64_t k, const ops::Indices& asked_offsets, const ops::Indices& asked_ids,
                               const ByteArray& excluded) {
  ops::BestTokensOptions options;
  options.k = k;
  options.asked_offsets = asked_offsets;
  options.asked_ids = asked_ids;
  options.excluded = excluded.data();
  return options;
}

py::tuple BestTokens(const Tensor& hidden, const Tensor& weight, const std::optional<Tensor>& bias, int64_t k,
                     const ops::Indices& asked_offsets, const ops::Indices& asked_ids, const ByteArray& excluded) {
  ATTNKIT_CHECK(weight.rank() == 2 && k <= weight.dim(0), "[best_tokens] expected k in [1, V] and weight [V, D], got ",
                k, " and ", ToString(weight.shape()));
  Answer answer(hidden, k, asked_ids, excluded);
  const ops::BestTokensOptions options = Options(k, asked_offsets, asked_ids, excluded);
  {
    py::gil_scoped_release release;
    ops::BestTokens(hidden, weight, OrUndefined(bias), options, answer.values, answer.indices, answer.asked_values);
  }
  return answer.arrays();
}

ops::Restriction MakeRestriction(const ops::Indices& offsets, const ops::Indices& ids, const ops::Indices& always,
                                 const ops::Indices& source_offsets, const ops::Indices& source_ids,
                                 const ops::Indices& prefix_offsets, const ops::Indices& prefix_ids, int64_t vocabulary,
                                 int64_t sentences_a_part) {
  return {{offsets, ids, always}, source_offsets, source_ids, prefix_offsets, prefix_ids, vocabulary, sentences_a_part};
}

Int32Array TokensOf(const ops::Restriction& restriction, int64_t sentence) {
  const std::vector<int32_t> tokens = restriction.TokensOf(sentence);
  return Int32Array(tokens.size(), tokens.data());
}

py::tuple BestOfRestriction(ops::Restriction& restriction, const Tensor& hidden, const Tensor& weight,
                            const std::optional<Tensor>& bias, int64_t k, const ops::Indices& asked_offsets,
                            const ops::Indices& asked_ids, const ByteArray& excluded, const ops::Indices& sentences) {
  Answer answer(hidden, k, asked_ids, excluded);
  const ops::BestTokensOptions options = Options(k, asked_offsets, asked_ids, excluded);
  {
    py::gil_scoped_release release;
    restriction.Best(hidden, weight, OrUndefined(bias), options, sentences, answer.values, answer.indices,
                     answer.asked_values);
  }
  return answer.arrays();
}

}  // namespace

void BindDecoding(py::module_& m) {
  using Unlocked = py::call_guard<py::gil_scoped_release>;
  py::class_<DecoderState>(m, "DecoderState", "The hypotheses that a Transformer is writing, one a row.")
      .def(py::init<std::vector<Tensor>, ops::Indices, int64_t>(), py::arg("key_values"), py::arg("offsets"),
           py::arg("cells") = 0)
      .def_property_readonly("rows", &DecoderState::rows)
      .def_property_readonly("position", &DecoderState::position)
      .def("advance", &DecoderState::Advance)
      .def("select", &DecoderState::Select, py::arg("rows"));
  py::class_<DecoderStack::Layer>(m, "DecoderLayer", "The weights of a Transformer decoder layer.")
      .def(py::init(&MakeLayer));
  py::class_<DecoderStack>(m, "DecoderStack", "A stack of Transformer decoder layers, a token at a time.")
      .def(py::init(&MakeStack), py::kw_only(), py::arg("layers"), py::arg("last_norm"), py::arg("pre_norm"),
           py::arg("heads"), py::arg("activation"), py::arg("alignment_layer") = py::none(),
           py::arg("alignment_head") = py::none())
      .def("step", &Step, py::arg("x"), py::arg("state"), py::arg("return_weights") = false,
           py::arg("position_bias") = py::none());
  m.def("cached_attention", &CachedAttention, py::arg("projected"), py::arg("state"), py::arg("layer"),
        py::arg("heads"), py::arg("position_bias") = py::none(), Unlocked());
  m.def("memory_attention", &MemoryAttention, py::arg("query"), py::arg("state"), py::arg("layer"), py::arg("heads"),
        py::arg("return_weights"), py::arg("position_bias") = py::none(), py::arg("weights_head") = py::none());
  m.def("cached_ssru", &ops::CachedSsru, py::arg("projected"), py::arg("bias"), py::arg("state"), py::arg("layer"),
        Unlocked());
  m.def("best_tokens", &BestTokens);
  py::class_<ops::Restriction>(m, "Restriction", "The target tokens that each sentence of a batch may write.")
      .def(py::init(&MakeRestriction), py::kw_only(), py::arg("offsets"), py::arg("ids"), py::arg("always"),
           py::arg("source_offsets"), py::arg("source_ids"), py::arg("prefix_offsets"), py::arg("prefix_ids"),
           py::arg("vocabulary"), py::arg("sentences_a_part") = ops::Restriction::kSentencesAPart)
      .def("tokens_of", &TokensOf, py::arg("sentence"))
      .def("best", &BestOfRestriction);
}

}  // namespace attnkit::python
