// Ops on the rows of a matrix: softmax, norms, dropout, embeddings.
#pragma once

#include "attnkit/ops/indices.h"
#include "attnkit/tensor.h"

namespace attnkit::ops {

Tensor Softmax(const Tensor& x);  // over the last axis
Tensor LogSoftmax(const Tensor& x);
struct AddNorm {
  Tensor sum, normed;
};
// sum = residual + dropout(x), normed = layer norm of sum. residual, weight and bias may be undefined.
AddNorm AddDropoutLayerNorm(const Tensor& x, const Tensor& residual, const Tensor& weight, const Tensor& bias,
                            float dropout, float eps);
// The same with RMSNorm (Zhang & Sennrich, 2019), which has no bias.
AddNorm AddDropoutRmsNorm(const Tensor& x, const Tensor& residual, const Tensor& weight, float dropout, float eps);
Tensor Dropout(const Tensor& x, float p);
Tensor AddDropout(const Tensor& residual, const Tensor& x, float p);  // residual + dropout(x)

// out[t] = dropout(scale * weight[ids[t]] + positions[position_ids[t]]), [T, width].
Tensor Embedding(const Indices& ids, const Tensor& weight, float scale, const Tensor& positions,
                 const Indices& position_ids, float dropout);

}  // namespace attnkit::ops
