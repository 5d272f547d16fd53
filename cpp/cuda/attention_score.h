// What the kernels of attention share, forward and backward: where a sequence lies, which keys a query sees, and the
// score of a pair. Both directions compute a score by the same operations in the same order: to the bit what the
// maximum of its row was taken of.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "attnkit/kernels/attention.h"
#include "cuda/dropout.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"

namespace attnkit::cuda {

// A call, as the device has it. The offsets of `shape` are the host's: `starts` has them, [2, batch + 1] first queries
// and first keys, and then where the weights of each sequence begin. Null when the batch is not packed.
struct AttentionCall {
  kernels::AttentionShape shape;
  const int64_t* starts;
  bool query_packed, key_packed;
  int64_t total_queries, row_blocks;  // blocks of eight numbers of dropout in a row
  DropoutRule dropout;
};

struct SequencePlace {
  int64_t queries, keys, query_row, query_start, key_start, weights_start;

  __device__ SequencePlace(const AttentionCall& call, int64_t b) {
    const kernels::AttentionShape& shape = call.shape;
    queries = shape.queries, keys = shape.keys, query_row = query_start = b * queries, key_start = b * keys;
    weights_start = b * shape.heads * queries * keys;
    if (!call.starts) return;
    const int64_t *first_query = call.starts, *first_key = first_query + shape.batch + 1;
    query_row = query_start = first_query[b], queries = first_query[b + 1] - query_start;
    key_start = first_key[b], keys = first_key[b + 1] - key_start;
    weights_start = first_key[shape.batch + 1 + b];
  }
};

// The first row of sequence b, head h.
template <typename T>
__device__ T* HeadRows(T* data, const kernels::HeadsLayout& layout, bool packed, int64_t b, int64_t start, int64_t h) {
  return data + (packed ? start * layout.row_stride : b * layout.batch_stride) + h * layout.head_stride;
}

struct KeyRange {
  int64_t begin, end;
  __device__ bool Has(int64_t j) const { return begin <= j && j < end; }
};

// The keys that query i sees by its place; both ends rise with i.
__device__ inline KeyRange VisibleKeys(const kernels::AttentionShape& shape, int64_t i, int64_t keys) {
  const int64_t position = i + shape.query_offset;
  int64_t begin = 0, end = keys;
  if (shape.window_left >= 0) begin = position - shape.window_left;
  if (shape.window_right >= 0) end = position + shape.window_right + 1;
  if (shape.causal) end = std::min(end, position + 1);
  begin = std::min(std::max<int64_t>(begin, 0), keys);
  return {begin, std::min(std::max(end, begin), keys)};
}

// From the product of a query and a key to their score. Where there is neither softcap nor mask, scores stay raw
// products and `factor` multiplies them later, when the maximum is off: of the product it would have to be rounded as
// the product was, or great scores would leave rows that do not add up to one.
struct ScoreRule {
  float scale, cap, factor;
  kernels::MaskKind kind;
  const void* mask;
  int64_t mask_start, query_step, key_step;

  __device__ ScoreRule(const kernels::AttentionShape& shape, int64_t b, int64_t h)
      : scale(shape.scale),
        cap(shape.softcap),
        factor(1.0f),
        kind(shape.mask_kind),
        mask(shape.mask),
        mask_start(b * shape.mask_strides[0] + h * shape.mask_strides[1]),
        query_step(shape.mask_strides[2]),
        key_step(shape.mask_strides[3]) {
    if (cap <= 0.0f && kind == kernels::MaskKind::kNone && scale > 0.0f) {
      factor = scale;
      scale = 1.0f;
    }
  }

  // -inf where the mask hides the key, whatever the product is. `slope` gets the derivative of the softcap.
  __device__ float operator()(float product, int64_t i, int64_t j, float* slope) const {
    float score, rise = 1.0f;
    if (cap > 0.0f) {
      const float t = tanhf(__fmul_rn(product, scale / cap));
      rise = 1.0f - t * t;
      score = __fmul_rn(t, cap);
    } else {
      score = __fmul_rn(product, scale);
    }
    if (kind != kernels::MaskKind::kNone) {
      const int64_t at = mask_start + i * query_step + j * key_step;
      float added = 0.0f;
      if (kind == kernels::MaskKind::kFloat) {
        added = static_cast<const float*>(mask)[at];
      } else if (!static_cast<const uint8_t*>(mask)[at]) {
        added = -INFINITY;
      }
      const bool hidden = added == -INFINITY;
      score = hidden ? -INFINITY : __fadd_rn(score, added);
      if (hidden) rise = 0.0f;
    }
    if (slope) *slope = rise;
    return score;
  }
};

// The factors of dropout of the weights of (h, query `row` of all queries) and keys 4 * four to 4 * four + 3.
__device__ inline void DropoutFactors(const AttentionCall& call, int64_t h, int64_t row, int64_t four, float out[4]) {
  out[0] = out[1] = out[2] = out[3] = 1.0f;
  if (!call.dropout.active()) return;
  float factors[8];
  call.dropout.Factors(static_cast<uint64_t>((h * call.total_queries + row) * call.row_blocks + four / 2), factors);
  for (int j = 0; j < 4; ++j) out[j] = four % 2 ? factors[4 + j] : factors[j];
}

// Plans a call: what of it the host knows goes to the device at once.
class AttentionPlan {
 public:
  explicit AttentionPlan(const kernels::AttentionShape& shape)
      : host_(Starts(shape)),
        starts_(host_.empty() ? nullptr : host_.data(), static_cast<int64_t>(host_.size())),
        call_{shape,
              starts_.data(),
              shape.query_offsets != nullptr,
              shape.key_offsets != nullptr,
              shape.query_offsets ? shape.query_offsets[shape.batch] : shape.batch * shape.queries,
              0,
              DropoutRule(shape.dropout, shape.dropout_key)} {
    longest_queries_ = Longest(shape.query_offsets, shape.batch, shape.queries);
    longest_keys_ = Longest(shape.key_offsets, shape.batch, shape.keys);
    call_.row_blocks = (longest_keys_ + 7) / 8;
    call_.shape.query_offsets = call_.shape.key_offsets = nullptr;  // the host's: kernels read `starts`
  }

  const AttentionCall& call() const { return call_; }
  int64_t longest_queries() const { return longest_queries_; }
  int64_t longest_keys() const { return longest_keys_; }

 private:
  static int64_t Longest(const int32_t* offsets, int64_t batch, int64_t length) {
    if (!offsets) return length;
    int64_t longest = 0;
    for (int64_t b = 0; b < batch; ++b) longest = std::max<int64_t>(longest, offsets[b + 1] - offsets[b]);
    return longest;
  }

  static std::vector<int64_t> Starts(const kernels::AttentionShape& shape) {
    if (!shape.query_offsets && !shape.key_offsets) return {};
    const int64_t count = shape.batch + 1;
    std::vector<int64_t> starts(3 * count, 0);
    for (int64_t b = 0; b < count; ++b) {
      starts[b] = shape.query_offsets ? shape.query_offsets[b] : b * shape.queries;
      starts[count + b] = shape.key_offsets ? shape.key_offsets[b] : b * shape.keys;
      if (b == 0) continue;
      const int64_t pairs = (starts[b] - starts[b - 1]) * (starts[count + b] - starts[count + b - 1]);
      starts[2 * count + b] = starts[2 * count + b - 1] + shape.heads * pairs;
    }
    return starts;
  }

  std::vector<int64_t> host_;
  Uploaded<int64_t> starts_;
  AttentionCall call_;
  int64_t longest_queries_, longest_keys_;
};

}  // namespace attnkit::cuda
