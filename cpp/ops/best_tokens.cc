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

void CheckAllowed(const BestTokensOptions& o, int64_t rows) {
  if (!o.allowed) return;
  ATTNKIT_CHECK(o.groups.size() == rows, "[best_tokens] expected a group for each of ", rows, " rows, got ",
                o.groups.size());
  for (int64_t r = o.groups.Within(o.allowed_groups) ? rows : 0; r < rows; ++r) {
    ATTNKIT_CHECK(o.groups[r] >= 0 && o.groups[r] < o.allowed_groups, "[best_tokens] expected groups below ",
                  o.allowed_groups, ", got ", o.groups[r]);
  }
}

}  // namespace

void BestTokens(const Tensor& hidden, const Tensor& weight, const Tensor& bias, const BestTokensOptions& o,
                float* values, int32_t* indices, float* asked_values) {
  const OpScope scope("best_tokens", {&hidden, &bias}, {&weight});
  ATTNKIT_CHECK(hidden.rank() == 2 && weight.rank() == 2 && hidden.dim(1) == weight.dim(1),
                "[best_tokens] expected hidden [rows, D] and weight [V, D], got ", ToString(hidden.shape()), " and ",
                ToString(weight.shape()));
  ATTNKIT_CHECK(!bias || bias.shape() == Shape{weight.dim(0)}, "[best_tokens] expected bias of shape [", weight.dim(0),
                "], got ", ToString(bias.shape()));
  const int64_t rows = hidden.dim(0);
  CheckAsked(o, rows, weight.dim(0));
  CheckAllowed(o, rows);
  hidden.kernels().BestTokens(hidden.data(), rows, *weight.Packed(true, WeightPrecision(false)),
                              bias ? bias.data() : nullptr, o.k,
                              {o.asked_offsets.data(), o.asked_ids.data(), o.excluded},
                              {o.allowed, o.groups ? o.groups.data() : nullptr}, values, indices, asked_values);
}

}  // namespace attnkit::ops
