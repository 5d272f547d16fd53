// Scaled dot-product attention, of arrays and of packed sentences.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "attnkit/ops/indices.h"
#include "attnkit/tensor.h"

namespace attnkit::ops {

struct AttentionOptions {
  Tensor mask;  // float mask added to the scores, broadcastable to [B, H, N, M]; undefined: none
  std::shared_ptr<const void> bool_mask_owner;
  const uint8_t* bool_mask = nullptr;  // alternatively non-zero = may attend
  Shape bool_mask_shape;
  // Of packed sentences: [heads, 2 * reach + 1], added to the scores by distance j - i - query_offset of key and query.
  Tensor position_bias;
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
