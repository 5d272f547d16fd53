// Attention between packed sentences, taken apart. Defaults and docstrings are in attnkit/ops.py.
#include "attnkit/ops/ragged.h"
#include "casts.h"

namespace attnkit::python {
namespace {

using OptionalTensor = std::optional<Tensor>;
using OptionalIndices = std::optional<ops::Indices>;

Tensor Dots(const Tensor& query, const Tensor& key, const ops::Indices& query_offsets, const ops::Indices& key_offsets,
            const OptionalIndices& begins, const OptionalIndices& ends) {
  return ops::RaggedDots(query, key, {query_offsets, key_offsets, OrUndefined(begins), OrUndefined(ends)});
}

Tensor Additive(const Tensor& query, const Tensor& key, const Tensor& v, const OptionalTensor& coverage,
                const OptionalTensor& w, const ops::Indices& query_offsets, const ops::Indices& key_offsets,
                const OptionalIndices& begins, const OptionalIndices& ends) {
  return ops::RaggedAdditive(query, key, v, OrUndefined(coverage), OrUndefined(w),
                             {query_offsets, key_offsets, OrUndefined(begins), OrUndefined(ends)});
}

Tensor Softmax(const Tensor& scores, const ops::Indices& query_offsets, const ops::Indices& key_offsets,
               const OptionalIndices& begins, const OptionalIndices& ends) {
  return ops::RaggedSoftmax(scores, {query_offsets, key_offsets, OrUndefined(begins), OrUndefined(ends)});
}

Tensor Sums(const Tensor& weights, const Tensor& value, const ops::Indices& query_offsets,
            const ops::Indices& key_offsets, const OptionalIndices& begins, const OptionalIndices& ends) {
  return ops::RaggedSums(weights, value, {query_offsets, key_offsets, OrUndefined(begins), OrUndefined(ends)});
}

Tensor KeySums(const Tensor& weights, const ops::Indices& query_offsets, const ops::Indices& key_offsets) {
  return ops::RaggedKeySums(weights, {query_offsets, key_offsets});
}

Tensor Gaussian(const Tensor& weights, const Tensor& centres, float sigma, const ops::Indices& query_offsets,
                const ops::Indices& key_offsets, const OptionalIndices& begins, const OptionalIndices& ends) {
  return ops::RaggedGaussian(weights, centres, sigma,
                             {query_offsets, key_offsets, OrUndefined(begins), OrUndefined(ends)});
}

Tensor ChainMarginals(const Tensor& scores, const Tensor& transitions, const ops::Indices& query_offsets,
                      const ops::Indices& key_offsets) {
  return ops::RaggedChainMarginals(scores, transitions, {query_offsets, key_offsets});
}

Tensor Pick(const Tensor& weights, bool sample, bool scores, const ops::Indices& query_offsets,
            const ops::Indices& key_offsets) {
  return ops::RaggedPick(weights, sample, scores, {query_offsets, key_offsets});
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
