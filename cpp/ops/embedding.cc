#include <numeric>
#include <utility>

#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/op_scope.h"
#include "attnkit/ops/rows.h"
#include "attnkit/ops/shape.h"

namespace attnkit::ops {
namespace {

// Only the rows that occur get a gradient: a leaf's is added to in place instead of through a dense array of zeros.
Tensor GradientTarget(const Tensor& table) {
  return table.is_leaf() ? LeafGradient(table) : table.NewZeros(table.shape());
}

// Of a table in bfloat16 or int8 the rows that are looked up become a table of their own.
Tensor EmbeddingOfOtherType(const Indices& ids, const Tensor& weight, float scale, const Tensor& positions,
                            const Indices& position_ids, float dropout) {
  Buffer<int32_t> places(ids.size());
  std::iota(places.begin(), places.end(), 0);
  return Embedding(Indices(std::move(places)), GatherRows(weight, ids).To(DType::kFloat32), scale, positions,
                   position_ids, dropout);
}

}  // namespace

Tensor Embedding(const Indices& ids, const Tensor& weight, float scale, const Tensor& positions,
                 const Indices& position_ids, float dropout) {
  const OpScope scope("embedding", {&positions}, {&weight});
  ATTNKIT_CHECK(weight.rank() == 2, "[embedding] expected weight of shape [V, D], got ", ToString(weight.shape()));
  const int64_t vocabulary = weight.dim(0), width = weight.dim(1), tokens = ids.size();
  ATTNKIT_CHECK(dropout >= 0.0f && dropout < 1.0f, "[embedding] expected dropout in [0, 1), got ", dropout);
  ATTNKIT_CHECK(!positions || (positions.rank() == 2 && positions.dim(1) == width),
                "[embedding] expected positions of shape [N, ", width, "], got ", ToString(positions.shape()));
  ATTNKIT_CHECK(!positions || position_ids.size() == tokens, "[embedding] expected ", tokens, " position ids, got ",
                position_ids.size());

  if (weight.dtype() != DType::kFloat32) {
    return EmbeddingOfOtherType(ids, weight, scale, positions, position_ids, dropout);
  }
  const int64_t max_positions = positions ? positions.dim(0) : 0;
  const bool inside = ids.Within(vocabulary) && (!positions || position_ids.Within(max_positions));
  const PhiloxKey key = dropout > 0.0f ? NextPhiloxKey() : PhiloxKey{};
  Tensor out = weight.New({tokens, width});
  weight.kernels().EmbeddingForward(ids.On(weight.context()), tokens, weight.data(), vocabulary, width, scale,
                                    positions ? positions.data() : nullptr, position_ids.On(weight.context()),
                                    max_positions, dropout, key, out.data(), inside);
  if (NeedsGrad({weight, positions})) {
    Record("embedding", {weight, positions}, {&out}, [=](std::vector<Tensor>& dy) {
      Tensor dweight = weight.requires_grad() ? GradientTarget(weight) : Tensor();
      Tensor dpositions = positions.requires_grad() ? GradientTarget(positions) : Tensor();
      weight.kernels().EmbeddingBackward(ids.On(weight.context()), dy[0].data(), tokens, vocabulary, width, scale,
                                         position_ids.On(weight.context()), max_positions, dropout, key,
                                         dweight ? dweight.data() : nullptr, dpositions ? dpositions.data() : nullptr,
                                         inside);
      return std::vector<Tensor>{weight.is_leaf() ? Tensor() : dweight,
                                 dpositions && !positions.is_leaf() ? dpositions : Tensor()};
    });
  }
  return out;
}

}  // namespace attnkit::ops
