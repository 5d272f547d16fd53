// Attention taken apart: scores, their normalisation, and sums of values, between the sentences of two packed batches.
//
// Sentence b has N_b queries and M_b keys. What belongs to a pair of them is a number of its N_b x M_b block,
// row-major; the blocks of all sentences follow each other in one flat array (the layout of the weights of packed
// attention with one head). In decoding the queries of a sentence are its hypotheses, so keys are shared and never
// copied.
#pragma once

#include <cstdint>

#include "attnkit/kernels/kernel.h"
#include "attnkit/random.h"

namespace attnkit::kernels {

struct RaggedShape {
  int64_t batch = 0;
  const int32_t* query_offsets = nullptr;  // [batch + 1], queries of sentence b are rows [b] to [b + 1]
  const int32_t* key_offsets = nullptr;    // [batch + 1]
  const int64_t* block_offsets = nullptr;  // [batch + 1], where the block of sentence b starts
  // [queries], or null: query i reads the keys begins[i] <= j < ends[i] of its sentence alone. What lies outside costs
  // nothing but its zero: of scores, weights and their gradients.
  const int32_t* begins = nullptr;
  const int32_t* ends = nullptr;

  int64_t queries() const { return query_offsets[batch]; }
  int64_t keys() const { return key_offsets[batch]; }
  int64_t pairs() const { return block_offsets[batch]; }
};

// out(i, j) = query_i . key_j
void RaggedDots(const RaggedShape& shape, const float* query, const float* key, int64_t width, float* out);
// out_i = sum over j of weights(i, j) value_j
void RaggedSums(const RaggedShape& shape, const float* weights, const float* value, int64_t width, float* out);
// out_j += sum over i of weights(i, j) query_i
void RaggedTransposedSums(const RaggedShape& shape, const float* weights, const float* query, int64_t width,
                          float* out);

// The vectors of an additive score (Bahdanau et al., 2015): s(i, j) = v . tanh(query_i + key_j + coverage(i, j) w), all
// of `width` numbers. The [N, M, width] array of tanh is never stored: backward computes it again.
struct AdditiveScore {
  const float *query, *key, *v;
  const float *coverage, *w;  // null without coverage
  int64_t width;
};
void RaggedAdditiveScores(const RaggedShape& shape, const AdditiveScore& score, float* out);
// dquery, dv, dcoverage and dw are written (the last two may be null), dkey is added to.
struct AdditiveGradients {
  float *dquery, *dkey, *dv, *dcoverage, *dw;
};
void RaggedAdditiveBackward(const RaggedShape& shape, const AdditiveScore& score, const float* dscores,
                            const AdditiveGradients& gradients);

// Softmax of each row over the keys that it reads; a row that reads none gets zeros.
void RaggedSoftmax(const RaggedShape& shape, const float* scores, float* weights);
void RaggedSoftmaxBackward(const RaggedShape& shape, const float* weights, const float* dweights, float* dscores);

// out(i, j) = weights(i, j) exp(-(j - centres_i)^2 / (2 sigma^2)), j counted within the sentence (Luong et al., 2015,
// equation 10).
void RaggedGaussian(const RaggedShape& shape, const float* weights, const float* centres, float sigma, float* out);
// dweights [pairs] and dcentres [queries] are written.
void RaggedGaussianBackward(const RaggedShape& shape, const float* weights, const float* centres, float sigma,
                            const float* dout, float* dweights, float* dcentres);

// Those below take no windows.

// Row by row the marginals p(z_j = 1) of a chain of binary z with the potential exp(sum over j of scores(i, j) z_j +
// transitions[z_j][z_{j + 1}]), by forward-backward in log space (Kim et al., 2017, figure 2). transitions [2, 2].
void RaggedChainMarginals(const RaggedShape& shape, const float* scores, const float* transitions, float* out);
// dscores [pairs] and dtransitions [2, 2] are written.
void RaggedChainBackward(const RaggedShape& shape, const float* scores, const float* transitions, const float* dout,
                         float* dscores, float* dtransitions);

// One-hot rows: where the weights of the row are largest (the first of equals), or drawn with probability in proportion
// to the weights; row i uses number i of the stream. A row without weight stays zero, and so does one whose largest
// number is not above `above`.
void RaggedArgmax(const RaggedShape& shape, const float* weights, float above, float* out);
void RaggedSample(const RaggedShape& shape, const float* weights, PhiloxKey key, float* out);

// y = x / max(|x|, eps) row by row; norms [rows] = max(|x|, eps).
void UnitRowsForward(const float* x, int64_t rows, int64_t columns, float eps, float* y, float* norms);
// dx = (dy - y (y . dy)) / norm; where eps ruled, dy / eps.
void UnitRowsBackward(const float* y, const float* norms, const float* dy, int64_t rows, int64_t columns, float eps,
                      float* dx);

// Their slots in the table of a device.
struct RaggedKernels : virtual Table {
  Kernel<kernels::RaggedDots> RaggedDots{"ragged_dots", *this};
  Kernel<kernels::RaggedSums> RaggedSums{"ragged_sums", *this};
  Kernel<kernels::RaggedTransposedSums> RaggedTransposedSums{"ragged_transposed_sums", *this};
  Kernel<kernels::RaggedAdditiveScores> RaggedAdditiveScores{"ragged_additive", *this};
  Kernel<kernels::RaggedAdditiveBackward> RaggedAdditiveBackward{"ragged_additive backward", *this};
  Kernel<kernels::RaggedSoftmax> RaggedSoftmax{"ragged_softmax", *this};
  Kernel<kernels::RaggedSoftmaxBackward> RaggedSoftmaxBackward{"ragged_softmax backward", *this};
  Kernel<kernels::RaggedGaussian> RaggedGaussian{"ragged_gaussian", *this};
  Kernel<kernels::RaggedGaussianBackward> RaggedGaussianBackward{"ragged_gaussian backward", *this};
  Kernel<kernels::RaggedChainMarginals> RaggedChainMarginals{"ragged_chain_marginals", *this};
  Kernel<kernels::RaggedChainBackward> RaggedChainBackward{"ragged_chain backward", *this};
  Kernel<kernels::RaggedArgmax> RaggedArgmax{"ragged_argmax", *this};
  Kernel<kernels::RaggedSample> RaggedSample{"ragged_sample", *this};
  Kernel<kernels::UnitRowsForward> UnitRowsForward{"unit_rows", *this};
  Kernel<kernels::UnitRowsBackward> UnitRowsBackward{"unit_rows backward", *this};
};

}  // namespace attnkit::kernels
