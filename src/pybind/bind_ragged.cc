// Attention between packed sentences, taken apart. Defaults and docstrings are in attnkit/ops.py.
#include "attnkit/ops/ragged.h"
#include "casts.h"

namespace attnkit::python {
namespace {

using OptionalTensor = std::optional<Tensor>;

Tensor Dots(const Tensor& query, const Tensor& key, const ops::Indices& query_offsets,
            const ops::Indices& key_offsets) {
  return ops::RaggedDots(query, key, {query_offsets, key_offsets});
}

Tensor Additive(const Tensor& query, const Tensor& key, const Tensor& v, const OptionalTensor& coverage,
                const OptionalTensor& w, const ops::Indices& query_offsets, const ops::Indices& key_offsets) {
  return ops::RaggedAdditive(query, key, v, OrUndefined(coverage), OrUndefined(w), {query_offsets, key_offsets});
}

Tensor Softmax(const Tensor& scores, const ops::Indices& query_offsets, const ops::Indices& key_offsets,
               const std::optional<ops::Indices>& begins, const std::optional<ops::Indices>& ends) {
  return ops::RaggedSoftmax(scores, OrUndefined(begins), OrUndefined(ends), {query_offsets, key_offsets});
}

Tensor Sums(const Tensor& weights, const Tensor& value, const ops::Indices& query_offsets,
            const ops::Indices& key_offsets) {
  return ops::RaggedSums(weights, value, {query_offsets, key_offsets});
}

Tensor KeySums(const Tensor& weights, const ops::Indices& query_offsets, const ops::Indices& key_offsets) {
  return ops::RaggedKeySums(weights, {query_offsets, key_offsets});
}

Tensor Gaussian(const Tensor& weights, const Tensor& centres, float sigma, const ops::Indices& query_offsets,
                const ops::Indices& key_offsets) {
  return ops::RaggedGaussian(weights, centres, sigma, {query_offsets, key_offsets});
}

Tensor ChainMarginals(const Tensor& scores, const Tensor& transitions, const ops::Indices& query_offsets,
                      const ops::Indices& key_offsets) {
  return ops::RaggedChainMarginals(scores, transitions, {query_offsets, key_offsets});
}

Tensor Pick(const Tensor& weights, bool sample, const ops::Indices& query_offsets, const ops::Indices& key_offsets) {
  return ops::RaggedPick(weights, sample, {query_offsets, key_offsets});
}

}  // namespace

void BindRagged(py::module_& m) {
  using Unlocked = py::call_guard<py::gil_scoped_release>;
  m.def("ragged_dots", &Dots, Unlocked());
  m.def("ragged_additive", &Additive, Unlocked());
  m.def("ragged_softmax", &Softmax, Unlocked());
  m.def("ragged_sums", &Sums, Unlocked());
  m.def("ragged_key_sums", &KeySums, Unlocked());
  m.def("ragged_gaussian", &Gaussian, Unlocked());
  m.def("ragged_chain_marginals", &ChainMarginals, Unlocked());
  m.def("ragged_pick", &Pick, Unlocked());
  m.def("split", &ops::Split, Unlocked());
  m.def("write_rows", &ops::WriteRows, Unlocked());
  m.def("unit_rows", &ops::UnitRows, Unlocked());
}

}  // namespace attnkit::python
