// The gradient of a pair of query and key, for the kernels of attention backward. Scores are computed again from query
// and key, probabilities from them and the saved maximum and sum of each row. With P the probabilities and delta =
// rowsum(dO * O):
//   dV = P^T dO,  dP = dO V^T,  dS = P * (dP - delta),  dQ = scale * dS K,  dK = scale * dS^T Q.
#pragma once

#include <cstdint>

#include "attnkit/kernels/attention.h"
#include "cuda/attention_score.h"

namespace attnkit::cuda {

struct BackwardData {
  const float *query, *key, *value, *doutput;
  kernels::SoftmaxRows rows;
  const float* delta;  // as the rows
};

// What a query's row brings to its pairs.
struct RowTerms {
  float maximum, log_sum, delta;

  __device__ RowTerms(const BackwardData& data, int64_t row)
      : maximum(data.rows.maximum[row]), log_sum(data.rows.log_sum[row]), delta(data.delta[row]) {}
};

struct PairGradient {
  float weight;    // behind dropout
  float dscore;    // behind the mask: what a float mask gets
  float dproduct;  // of query · key

  // `product` is query · key, `dweight` doutput · value, `kept` the factor of dropout.
  __device__ PairGradient(const ScoreRule& rule, const RowTerms& row, float scale, float product, float dweight,
                          float kept, int64_t i, int64_t j) {
    float slope;
    const float score = rule(product, i, j, &slope);
    const float p = expf(fmaf(score - row.maximum, rule.factor, -row.log_sum));
    // Where a key is hidden or dropped the gradient of its weight may be NaN.
    const float dp = kept == 0.0f ? 0.0f : dweight * kept;
    weight = kept == 0.0f ? 0.0f : p * kept;
    dscore = p == 0.0f ? 0.0f : p * (dp - row.delta);
    dproduct = dscore == 0.0f ? 0.0f : dscore * slope * scale;
  }
};

// dmask += its gradient, broadcast or not, in a fixed order (attention_mask_gradient.cu).
void AddMaskGradient(const AttentionPlan& plan, const BackwardData& data, float* dmask);

}  // namespace attnkit::cuda
