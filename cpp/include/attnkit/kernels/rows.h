// Kernels that touch each row of a matrix once: softmax, norms, losses, embedding lookup. Rows are contiguous: row r of
// x starts at x + r * columns. All are parallel over rows and give the same bytes for any number of threads.
#pragma once

#include <cstdint>

#include "attnkit/kernels/kernel.h"
#include "attnkit/random.h"

namespace attnkit::kernels {

void SoftmaxForward(const float* x, int64_t rows, int64_t columns, float* y);  // a row of -inf gives zeros
void SoftmaxBackward(const float* y, const float* dy, int64_t rows, int64_t columns, float* dx);
void LogSoftmaxForward(const float* x, int64_t rows, int64_t columns, float* y);
void LogSoftmaxBackward(const float* y, const float* dy, int64_t rows, int64_t columns, float* dx);

// What a row is divided by: its deviation from its mean (layer norm: Ba et al., 2016), or its root mean square, with
// the mean taken to be 0 (RMSNorm: Zhang & Sennrich, 2019).
enum class Norm { kLayer, kRms };

// sum = residual + dropout(x); y = (sum - mean) * rstd * weight + bias. residual, sum, weight, bias may be null (no
// residual; sum not stored; weight 1; bias 0). mean and rstd are [rows], may be null. p = 0 means no dropout. Dropout
// numbers are those of element r * columns + c. x may equal sum; residual may equal sum.
void AddDropoutLayerNormForward(const float* x, const float* residual, const float* weight, const float* bias,
                                int64_t rows, int64_t columns, float eps, float p, PhiloxKey key, float* sum, float* y,
                                float* mean, float* rstd, Norm norm = Norm::kLayer);
// dsum_in (may be null) is the gradient that reached `sum` from elsewhere; the total gradient of sum goes to dresidual
// (may be null) and, through the dropout mask, to dx (may be null; when p = 0 and both are wanted they are equal).
// dweight and dbias [columns] are written, may be null. `sum` is what forward stored (x itself where there was neither
// residual nor dropout). mean may be null for RMSNorm.
void AddDropoutLayerNormBackward(const float* dy, const float* dsum_in, const float* sum, const float* weight,
                                 const float* mean, const float* rstd, int64_t rows, int64_t columns, float p,
                                 PhiloxKey key, float* dx, float* dresidual, float* dweight, float* dbias,
                                 Norm norm = Norm::kLayer);

// Label-smoothed cross-entropy of each row: (1 - s) * -log p[label] + s * mean over v of -log p[v] (Szegedy et al.,
// 2016). Rows whose label is `ignore_index` have loss 0 and gradient 0. Any other label outside [0, columns) throws
// std::invalid_argument; with `inside` the caller has made sure that there is none. If dx is not null the gradient of
// scale * loss is written there; dx may equal x. losses [rows], nlls (may be null, plain -log p[label]) [rows].
void CrossEntropy(const float* x, const int32_t* labels, int64_t rows, int64_t columns, float smoothing,
                  int32_t ignore_index, float scale, float* losses, float* nlls, float* dx, bool inside = false);

// out[t] = dropout(scale * weight[ids[t]] + positions[position_ids[t]]); positions may be null. An id outside its table
// throws; with `inside` the caller has made sure that there is none.
void EmbeddingForward(const int32_t* ids, int64_t tokens, const float* weight, int64_t vocabulary, int64_t width,
                      float scale, const float* positions, const int32_t* position_ids, int64_t max_positions, float p,
                      PhiloxKey key, float* out, bool inside = false);
// dweight [vocabulary, width] is ADDED to: += scale * dropout(dout). dpositions likewise. Either may be null.
void EmbeddingBackward(const int32_t* ids, const float* dout, int64_t tokens, int64_t vocabulary, int64_t width,
                       float scale, const int32_t* position_ids, int64_t max_positions, float p, PhiloxKey key,
                       float* dweight, float* dpositions, bool inside = false);

// out[c] = sum over rows of x[r, c] (fixed order); added when accumulate.
void ColumnSums(const float* x, int64_t rows, int64_t columns, int64_t row_stride, bool accumulate, float* out);

// The k largest of each row, largest first; ties go to the lower index. values, indices: [rows, k].
void TopK(const float* x, int64_t rows, int64_t columns, int64_t k, float* values, int32_t* indices);

// Their slots in the table of a device.
struct RowKernels : virtual Table {
  Kernel<kernels::SoftmaxForward> SoftmaxForward{"softmax", *this};
  Kernel<kernels::SoftmaxBackward> SoftmaxBackward{"softmax backward", *this};
  Kernel<kernels::LogSoftmaxForward> LogSoftmaxForward{"log_softmax", *this};
  Kernel<kernels::LogSoftmaxBackward> LogSoftmaxBackward{"log_softmax backward", *this};
  Kernel<kernels::AddDropoutLayerNormForward> AddDropoutLayerNormForward{"layer_norm", *this};
  Kernel<kernels::AddDropoutLayerNormBackward> AddDropoutLayerNormBackward{"layer_norm backward", *this};
  Kernel<kernels::CrossEntropy> CrossEntropy{"cross_entropy", *this};
  Kernel<kernels::EmbeddingForward> EmbeddingForward{"embedding", *this};
  Kernel<kernels::EmbeddingBackward> EmbeddingBackward{"embedding backward", *this};
  Kernel<kernels::ColumnSums> ColumnSums{"column_sums", *this};
};

}  // namespace attnkit::kernels
