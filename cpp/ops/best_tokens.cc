#include "ops/best_tokens.h"
#include "attnkit/check.h"
#include "attnkit/kernels/decoding.h"
#include "attnkit/op_scope.h"
#include "attnkit/ops/decoding.h"
#include "attnkit/precision.h"
#include "ops/offsets.h"

namespace attnkit::ops {
namespace {

void CheckAsked(const BestTokensOptions& o, int64_t rows, int64_t vocabulary) {
  ATTNKIT_CHECK(o.asked_offsets.size() == rows + 1, "[best_tokens] expected ", rows + 1, " asked_offsets, got ",
                o.asked_offsets.size());
  CheckOffsets("best_tokens", "asked_offsets", o.asked_offsets, o.asked_ids.size());
  for (int64_t r = 0; r < rows; ++r) {
    const int32_t begin = o.asked_offsets[r], end = o.asked_offsets[r + 1];
    for (int32_t i = begin; i < end; ++i) {
      const int32_t lowest = i == begin ? 0 : o.asked_ids[i - 1];
      ATTNKIT_CHECK(o.asked_ids[i] >= lowest && o.asked_ids[i] < vocabulary,
                    "[best_tokens] expected asked_ids that rise from 0 to below ", vocabulary, ", got ",
                    o.asked_ids[i]);
    }
  }
}

}  // namespace

void CheckOutputLayer(const Tensor& hidden, const Tensor& weight, const Tensor& bias,
                      const BestTokensOptions& options) {
  ATTNKIT_CHECK(hidden.rank() == 2 && weight.rank() == 2 && hidden.dim(1) == weight.dim(1),
                "[best_tokens] expected hidden [rows, D] and weight [V, D], got ", ToString(hidden.shape()), " and ",
                ToString(weight.shape()));
  ATTNKIT_CHECK(!bias || bias.shape() == Shape{weight.dim(0)}, "[best_tokens] expected bias of shape [", weight.dim(0),
                "], got ", ToString(bias.shape()));
  ATTNKIT_CHECK(options.k >= 1 && options.k <= weight.dim(0), "[best_tokens] expected k in [1, ", weight.dim(0),
                "], got ", options.k);
  CheckAsked(options, hidden.dim(0), weight.dim(0));
}

void BestTokens(const Tensor& hidden, const Tensor& weight, const Tensor& bias, const BestTokensOptions& o,
                float* values, int32_t* indices, float* asked_values) {
  const OpScope scope("best_tokens", {&hidden, &bias}, {&weight});
  CheckOutputLayer(hidden, weight, bias, o);
  hidden.kernels().BestTokens(
      hidden.data(), hidden.dim(0), *weight.Packed(true, WeightPrecision(false)), bias ? bias.data() : nullptr, o.k,
      {o.asked_offsets.data(), o.asked_ids.data(), o.excluded}, {}, values, indices, asked_values);
}

}  // namespace attnkit::ops
