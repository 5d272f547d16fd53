// Scores between packed sentences.
#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/op_scope.h"
#include "ops/ragged/layout.h"

namespace attnkit::ops {
namespace {

RaggedLayout CheckedLayout(const char* op, const Tensor& query, const Tensor& key, const RaggedOffsets& offsets) {
  ATTNKIT_CHECK(query.rank() == 2, "[", op, "] expected query of shape [T, D], got ", ToString(query.shape()));
  ATTNKIT_CHECK(key.rank() == 2 && key.dim(1) == query.dim(1), "[", op, "] expected key of shape [S, ", query.dim(1),
                "], got ", ToString(key.shape()));
  return RaggedLayout(op, offsets, query.dim(0), key.dim(0), query.context());
}

std::vector<Tensor> DotsBackward(const RaggedLayout& layout, const Tensor& query, const Tensor& key,
                                 const Tensor& dscores) {
  const int64_t width = query.dim(1);
  Tensor dquery;
  if (query.requires_grad()) {
    dquery = query.New(query.shape());
    dscores.kernels().RaggedSums(layout.shape(), dscores.data(), key.data(), width, dquery.data());
  }
  if (key.requires_grad()) {
    dscores.kernels().RaggedTransposedSums(layout.shape(), dscores.data(), query.data(), width,
                                           GradientInPlace(key).data());
  }
  return {dquery, Tensor()};
}

struct SavedAdditive {
  RaggedLayout layout;
  Tensor query, key, v, coverage, w;

  kernels::AdditiveScore score() const {
    return {query.data(),           key.data(),  v.data(), coverage ? coverage.data() : nullptr,
            w ? w.data() : nullptr, query.dim(1)};
  }
};

std::vector<Tensor> AdditiveBackward(const SavedAdditive& s, const Tensor& dscores) {
  const Tensor dquery = s.query.New(s.query.shape()), dv = s.v.New(s.v.shape());
  // Keys without a gradient still need somewhere to add to.
  const Tensor dkey = s.key.requires_grad() ? GradientInPlace(s.key) : s.key.NewZeros(s.key.shape());
  Tensor dcoverage, dw;
  if (s.coverage.requires_grad()) dcoverage = s.coverage.New(s.coverage.shape());
  if (s.w.requires_grad()) dw = s.w.New(s.w.shape());
  dscores.kernels().RaggedAdditiveBackward(
      s.layout.shape(), s.score(), dscores.data(),
      {dquery.data(), dkey.data(), dv.data(), dcoverage ? dcoverage.data() : nullptr, dw ? dw.data() : nullptr});
  return {dquery, Tensor(), dv, dcoverage, dw};
}

}  // namespace

Tensor RaggedDots(const Tensor& query, const Tensor& key, const RaggedOffsets& offsets) {
  const OpScope scope("ragged_dots", {&query, &key});
  const RaggedLayout layout = CheckedLayout("ragged_dots", query, key, offsets);
  Tensor scores = query.New({layout.shape().pairs()});
  query.kernels().RaggedDots(layout.shape(), query.data(), key.data(), query.dim(1), scores.data());
  if (NeedsGrad({query, key})) {
    Record("ragged_dots", {query, key}, {&scores},
           [=](std::vector<Tensor>& dy) { return DotsBackward(layout, query, key, dy[0]); });
  }
  return scores;
}

Tensor RaggedAdditive(const Tensor& query, const Tensor& key, const Tensor& v, const Tensor& coverage, const Tensor& w,
                      const RaggedOffsets& offsets) {
  const OpScope scope("ragged_additive", {&query, &key, &v, &coverage, &w});
  const SavedAdditive saved{CheckedLayout("ragged_additive", query, key, offsets), query, key, v, coverage, w};
  const Shape vector{query.dim(1)};
  ATTNKIT_CHECK(v.shape() == vector, "[ragged_additive] expected v of shape ", ToString(vector), ", got ",
                ToString(v.shape()));
  ATTNKIT_CHECK(bool(coverage) == bool(w), "[ragged_additive] expected coverage and coverage_weight together");
  if (coverage) {
    saved.layout.CheckPairs("ragged_additive", "coverage", coverage);
    ATTNKIT_CHECK(w.shape() == vector, "[ragged_additive] expected coverage_weight of shape ", ToString(vector),
                  ", got ", ToString(w.shape()));
  }
  Tensor scores = query.New({saved.layout.shape().pairs()});
  scores.kernels().RaggedAdditiveScores(saved.layout.shape(), saved.score(), scores.data());
  if (NeedsGrad({query, key, v, coverage, w})) {
    Record("ragged_additive", {query, key, v, coverage, w}, {&scores},
           [saved](std::vector<Tensor>& dy) { return AdditiveBackward(saved, dy[0]); });
  }
  return scores;
}

}  // namespace attnkit::ops
