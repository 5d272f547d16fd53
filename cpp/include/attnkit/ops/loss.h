// Losses: label-smoothed cross-entropy of each row, [T]; rows whose label is ignore_index give 0.
#pragma once

#include <cstdint>

#include "attnkit/ops/indices.h"
#include "attnkit/tensor.h"

namespace attnkit::ops {

struct CrossEntropyOptions {
  float label_smoothing = 0.0f;
  int32_t ignore_index = -100;
  void Check(const char* op) const;  // throws std::invalid_argument
};
Tensor CrossEntropy(const Tensor& logits, const Indices& labels, const CrossEntropyOptions& options);
// The mean over the rows that count of the cross-entropy of hidden · weight^T + bias, without ever holding the logits
// of more than a block of rows: hidden [T, D], weight [V, D], bias [V] or undefined.
struct LinearCrossEntropyResult {
  Tensor loss;         // [] mean label-smoothed loss
  double nll_sum = 0;  // sum of -log p[label], without smoothing
  int64_t tokens = 0;  // rows that count
};
LinearCrossEntropyResult LinearCrossEntropy(const Tensor& hidden, const Tensor& weight, const Tensor& bias,
                                            const Indices& labels, const CrossEntropyOptions& options);

}  // namespace attnkit::ops
