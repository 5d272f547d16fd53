// Attention taken apart, between packed sentences: scores, normalisers, sums of values. Differentiable.
//
// Queries [T, Dq] with query offsets [B + 1], keys [S, Dk] with key offsets [B + 1]; scores and weights are flat: for
// each sentence its [N_b, M_b] block, one after the other. Gradients of keys and values are added up in place, so that
// many steps of a decoder may attend to one memory.
#pragma once

#include "attnkit/ops/indices.h"
#include "attnkit/tensor.h"

namespace attnkit::ops {

struct RaggedOffsets {
  Indices query, key;
  // [T] each, or undefined: query i reads the keys begins[i] <= j < ends[i] of its sentence alone. The others' scores,
  // weights and gradients are zeros that cost nothing else. For scores, softmax, sums and the Gaussian.
  Indices begins, ends;
};

// [T, D] x [S, D] -> flat dot products.
Tensor RaggedDots(const Tensor& query, const Tensor& key, const RaggedOffsets& offsets);
// flat v . tanh(query_i + key_j + coverage(i, j) w): query [T, D], key [S, D], v [D]; coverage flat and w [D], or both
// undefined.
Tensor RaggedAdditive(const Tensor& query, const Tensor& key, const Tensor& v, const Tensor& coverage, const Tensor& w,
                      const RaggedOffsets& offsets);
// Softmax of each row over the keys that it reads.
Tensor RaggedSoftmax(const Tensor& scores, const RaggedOffsets& offsets);
// weights flat, value [S, D] -> [T, D].
Tensor RaggedSums(const Tensor& weights, const Tensor& value, const RaggedOffsets& offsets);
// Each key's weights added up over the queries of its sentence: flat -> [S].
Tensor RaggedKeySums(const Tensor& weights, const RaggedOffsets& offsets);
// weights(i, j) exp(-(j - centres_i)^2 / (2 sigma^2)): centres [T].
Tensor RaggedGaussian(const Tensor& weights, const Tensor& centres, float sigma, const RaggedOffsets& offsets);
// Marginals of a chain of binary variables over each row of scores; transitions [2, 2].
Tensor RaggedChainMarginals(const Tensor& scores, const Tensor& transitions, const RaggedOffsets& offsets);
// One-hot rows, the largest weight or a sample in proportion to the weights. scores: they are no weights but scores, of
// any sign, of which the largest is taken. The gradient of the result is handed to
// the weights as it is (straight-through: Bengio et al., 2013).
Tensor RaggedPick(const Tensor& weights, bool sample, bool scores, const RaggedOffsets& offsets);

// x / max(|x|, eps) for each row.
Tensor UnitRows(const Tensor& x, float eps);

// --- sequences step by step

// The rows of x as parts of the given sizes, which share its memory. Their gradients are put together once.
std::vector<Tensor> Split(const Tensor& x, const std::vector<int64_t>& sizes);
// buffer with x in the given rows, each of which comes once. Writes in place: the result and every earlier tensor over
// this memory see it, so only rows may be written whose numbers count for nothing in what was computed before (as
// behind the window of RaggedSoftmax). The gradient passes through without a copy, however many steps write.
Tensor WriteRows(const Tensor& buffer, const Indices& rows, const Tensor& x);

}  // namespace attnkit::ops
