// Differentiable ops. Each checks its shapes, runs a kernel, and records its backward when an input needs a gradient.
//
// Sizes: B batch, H heads, N queries, M keys, D head size, T packed tokens, V vocabulary. A mismatch throws
// std::invalid_argument: "[op] expected ..., got ...".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "attnkit/autograd.h"
#include "attnkit/kernels/attention.h"
#include "attnkit/kernels/elementwise.h"
#include "attnkit/tensor.h"

namespace attnkit::ops {

// Indices (token ids, labels, offsets), shared with the nodes that need them in backward.
class Indices {
 public:
  Indices() = default;
  explicit Indices(std::vector<int32_t> values)
      : values_(std::make_shared<const std::vector<int32_t>>(std::move(values))) {}
  const int32_t* data() const { return values_ ? values_->data() : nullptr; }
  int64_t size() const { return values_ ? static_cast<int64_t>(values_->size()) : 0; }
  int32_t operator[](int64_t i) const { return (*values_)[i]; }
  explicit operator bool() const { return values_ != nullptr; }

 private:
  std::shared_ptr<const std::vector<int32_t>> values_;
};

// --- arithmetic, with NumPy's broadcasting
Tensor Add(const Tensor& x, const Tensor& y);
Tensor Subtract(const Tensor& x, const Tensor& y);
Tensor Multiply(const Tensor& x, const Tensor& y);
Tensor Divide(const Tensor& x, const Tensor& y);
Tensor ScaleShift(const Tensor& x, float scale, float shift);  // scale * x + shift
Tensor Apply(kernels::Unary op, const Tensor& x);              // exp, log, sqrt, tanh, sigmoid, relu, gelu, silu

// --- shapes and sums
Tensor Reshape(const Tensor& x, Shape shape);                       // one size may be -1
Tensor Permute(const Tensor& x, const std::vector<int64_t>& axes);  // copies
Tensor Slice(const Tensor& x, int64_t axis, int64_t begin, int64_t end);
Tensor Concatenate(const std::vector<Tensor>& parts, int64_t axis);
Tensor GatherRows(const Tensor& x, const Indices& rows);  // x[rows] along the first axis
Tensor BroadcastTo(const Tensor& x, const Shape& shape);
Tensor SumAll(const Tensor& x);  // []
Tensor SumAxis(const Tensor& x, int64_t axis, bool keep);

// --- products. x [..., K]; the precision is MatmulPrecision().
Tensor MatMul(const Tensor& a, const Tensor& b);  // [..., M, K] x [..., K, N], leading axes broadcast
// y = activation(x weight^T + bias): x [..., K], weight [N, K], bias [N] or undefined.
Tensor Linear(const Tensor& x, const Tensor& weight, const Tensor& bias, kernels::Activation activation);

// --- rows
Tensor Softmax(const Tensor& x);  // over the last axis
Tensor LogSoftmax(const Tensor& x);
struct AddNorm {
  Tensor sum, normed;
};
// sum = residual + dropout(x), normed = layer norm of sum. residual, weight and bias may be undefined.
AddNorm AddDropoutLayerNorm(const Tensor& x, const Tensor& residual, const Tensor& weight, const Tensor& bias,
                            float dropout, float eps);
Tensor Dropout(const Tensor& x, float p);
Tensor AddDropout(const Tensor& residual, const Tensor& x, float p);  // residual + dropout(x)

// out[t] = dropout(scale * weight[ids[t]] + positions[position_ids[t]]), [T, width].
Tensor Embedding(const Indices& ids, const Tensor& weight, float scale, const Tensor& positions,
                 const Indices& position_ids, float dropout);

// --- losses: label-smoothed cross-entropy of each row, [T]; rows whose label is ignore_index give 0.
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

// --- attention
struct AttentionOptions {
  Tensor mask;  // float mask added to the scores, broadcastable to [B, H, N, M]; undefined: none
  std::shared_ptr<const void> bool_mask_owner;
  const uint8_t* bool_mask = nullptr;  // alternatively non-zero = may attend
  Shape bool_mask_shape;
  bool causal = false;
  int64_t window_left = -1, window_right = -1, query_offset = 0;
  std::optional<float> scale;  // 1 / sqrt(D) by default
  float softcap = 0.0f, dropout = 0.0f;
  bool return_weights = false;
};
struct AttentionResult {
  Tensor output;
  Tensor weights;  // outside the tape; see the functions for the shape; undefined unless asked for
};
// query [B, H, N, D], key [B, Hk, M, D], value [B, Hk, M, Dv] -> [B, H, N, Dv], weights [B, H, N, M].
AttentionResult Attention(const Tensor& query, const Tensor& key, const Tensor& value, const AttentionOptions& options);

// Packed sentences: query [T, H*D], key [S, Hk*D], value [S, Hk*Dv] -> [T, H*Dv]. `key` undefined: query is [T,
// (H+2Hk)*D], query, key and value side by side; `value` undefined: key is [S, 2*Hk*D]. Weights are flat: for each
// sentence, for each head, [n, m].
AttentionResult PackedAttention(const Tensor& query, const Tensor& key, const Tensor& value,
                                const Indices& query_offsets, const Indices& key_offsets, int64_t heads,
                                int64_t kv_heads, const AttentionOptions& options);

}  // namespace attnkit::ops
