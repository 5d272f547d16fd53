// Attention between packed sentences, taken apart. Defaults and docstrings are in attnkit/ops.py.
#include "attnkit/ops/ragged.h"
#include "casts.h"

namespace attnkit::python {
namespace {

using OptionalTensor = std::optional<Tensor>;

ops::RaggedOffsets ToOffsets(const Int32Array& query, const Int32Array& key) {
  return {ToIndices(query), ToIndices(key)};
}

Tensor Dots(const Tensor& query, const Tensor& key, const Int32Array& query_offsets, const Int32Array& key_offsets) {
  const ops::RaggedOffsets offsets = ToOffsets(query_offsets, key_offsets);
  py::gil_scoped_release release;
  return ops::RaggedDots(query, key, offsets);
}

Tensor Additive(const Tensor& query, const Tensor& key, const Tensor& v, const OptionalTensor& coverage,
                const OptionalTensor& w, const Int32Array& query_offsets, const Int32Array& key_offsets) {
  const ops::RaggedOffsets offsets = ToOffsets(query_offsets, key_offsets);
  py::gil_scoped_release release;
  return ops::RaggedAdditive(query, key, v, OrUndefined(coverage), OrUndefined(w), offsets);
}

Tensor Softmax(const Tensor& scores, const Int32Array& query_offsets, const Int32Array& key_offsets,
               const std::optional<Int32Array>& begins, const std::optional<Int32Array>& ends) {
  const ops::RaggedOffsets offsets = ToOffsets(query_offsets, key_offsets);
  const ops::Indices from = ToIndices(begins), to = ToIndices(ends);
  py::gil_scoped_release release;
  return ops::RaggedSoftmax(scores, from, to, offsets);
}

Tensor Sums(const Tensor& weights, const Tensor& value, const Int32Array& query_offsets,
            const Int32Array& key_offsets) {
  const ops::RaggedOffsets offsets = ToOffsets(query_offsets, key_offsets);
  py::gil_scoped_release release;
  return ops::RaggedSums(weights, value, offsets);
}

Tensor KeySums(const Tensor& weights, const Int32Array& query_offsets, const Int32Array& key_offsets) {
  const ops::RaggedOffsets offsets = ToOffsets(query_offsets, key_offsets);
  py::gil_scoped_release release;
  return ops::RaggedKeySums(weights, offsets);
}

Tensor Gaussian(const Tensor& weights, const Tensor& centres, float sigma, const Int32Array& query_offsets,
                const Int32Array& key_offsets) {
  const ops::RaggedOffsets offsets = ToOffsets(query_offsets, key_offsets);
  py::gil_scoped_release release;
  return ops::RaggedGaussian(weights, centres, sigma, offsets);
}

Tensor ChainMarginals(const Tensor& scores, const Tensor& transitions, const Int32Array& query_offsets,
                      const Int32Array& key_offsets) {
  const ops::RaggedOffsets offsets = ToOffsets(query_offsets, key_offsets);
  py::gil_scoped_release release;
  return ops::RaggedChainMarginals(scores, transitions, offsets);
}

Tensor Pick(const Tensor& weights, bool sample, const Int32Array& query_offsets, const Int32Array& key_offsets) {
  const ops::RaggedOffsets offsets = ToOffsets(query_offsets, key_offsets);
  py::gil_scoped_release release;
  return ops::RaggedPick(weights, sample, offsets);
}

}  // namespace

void BindRagged(py::module_& m) {
  m.def("ragged_dots", &Dots);
  m.def("ragged_additive", &Additive);
  m.def("ragged_softmax", &Softmax);
  m.def("ragged_sums", &Sums);
  m.def("ragged_key_sums", &KeySums);
  m.def("ragged_gaussian", &Gaussian);
  m.def("ragged_chain_marginals", &ChainMarginals);
  m.def("ragged_pick", &Pick);
  m.def("split", &ops::Split, py::call_guard<py::gil_scoped_release>());
  m.def("write_rows", [](const Tensor& buffer, const Int32Array& rows, const Tensor& x) {
    const ops::Indices indices = ToIndices(rows);
    py::gil_scoped_release release;
    return ops::WriteRows(buffer, indices, x);
  });
  m.def("unit_rows", &ops::UnitRows, py::call_guard<py::gil_scoped_release>());
}

}  // namespace attnkit::python
