// Scaled dot-product attention that never stores the scores (Dao et al., "FlashAttention", 2022), forward and backward.
#pragma once

#include <cstdint>

#include "attnkit/kernels/kernel.h"
#include "attnkit/random.h"

namespace attnkit::kernels {

// Where the rows of a query, key, value or output lie: element (b, h, i, d) is at
//   data[start(b) + h * head_stride + i * row_stride + d],
// where start(b) = offsets[b] * row_stride when the batch is packed, else b * batch_stride.
struct HeadsLayout {
  int64_t batch_stride = 0, head_stride = 0, row_stride = 0;
};

enum class MaskKind { kNone = 0, kBool, kFloat };

struct AttentionShape {
  int64_t batch = 0, heads = 0, kv_heads = 0;  // heads is a multiple of kv_heads
  int64_t d_head = 0, d_value = 0;
  // Packed: sequence b has queries [query_offsets[b], query_offsets[b + 1]) and keys likewise. Otherwise nullptr, and
  // every sequence has `queries` queries and `keys` keys.
  const int32_t* query_offsets = nullptr;
  const int32_t* key_offsets = nullptr;
  int64_t queries = 0, keys = 0;

  HeadsLayout query, key, value, output;

  float scale = 1.0f;    // scores = scale * q.k
  float softcap = 0.0f;  // > 0: scores = softcap * tanh(scores / softcap), before the mask
  bool causal = false;   // query i sees keys j <= i + query_offset
  int64_t window_left = -1,
          window_right = -1;  // i + query_offset - left <= j <= i + query_offset + right; -1: no bound
  int64_t query_offset = 0;
  MaskKind mask_kind = MaskKind::kNone;    // kBool: uint8, non-zero = may attend; kFloat: added to the scores
  const void* mask = nullptr;              // element (b, h, i, j) at the sum of index * stride; 0 broadcasts
  int64_t mask_strides[4] = {0, 0, 0, 0};  // {0, s, -1, 1}: a number for each head and distance j - i
  float dropout = 0.0f;                    // of the weights, after the softmax
  PhiloxKey dropout_key;
};

// What backward must know of each row's softmax, a number for each (h, query): element (b, h, i) at
// h * total_queries + (query_offsets[b] or b * queries) + i. Maximum and sum stand apart: in their logarithm together,
// at scores of tens of thousands, rounding would leave no digit of the sum.
struct SoftmaxRows {
  float* maximum = nullptr;  // of the scores, which count unscaled where there is neither softcap nor mask
  float* log_sum = nullptr;  // of the exponentials of the scores less their maximum; inf for a row that sees no key
};

// Sizes of what a call writes beside the output. `weights` (may be null) are the softmax probabilities before dropout:
// block (b, h) is a [n_b, m_b] matrix; blocks follow each other in order of b, then h (so [B, H, N, M] when not
// packed).
int64_t TotalQueries(const AttentionShape& shape);
int64_t WeightsSize(const AttentionShape& shape);

// Writes output rows and, where not null, rows and weights. The output is the same to the bit with or without weights.
// A row with no visible key gives zeros and zero weights. A key that a query does not see gives nothing to its row,
// whatever the key and its value hold. The dropout number of weight (b, h, i, j) is element j of the row ((h *
// total_queries + query row) padded to `round_up(longest key count, 8)` numbers).
void AttentionForward(const AttentionShape& shape, const float* query, const float* key, const float* value,
                      float* output, SoftmaxRows rows, float* weights);

// A bias that depends on head and distance j - i - query_offset alone (relative positions): a table [heads, 2 * reach +
// 1] whose column reach + d is for distance d. Its first and last columns also hold for all that is further.
struct PositionBias {
  int64_t heads = 0, reach = 0, query_offset = 0;
};

// Written out for `queries` and `keys` it is [heads, DistanceColumns]: the bias of (h, i, j) at
// h * DistanceColumns + (queries - 1) - i + j, which is a float mask of strides {0, DistanceColumns, -1, 1} from column
// queries - 1 on. Its bytes grow with the length of a sentence, where those of a [heads, queries, keys] mask grow with
// its square. Gather is the gradient, written (not added), sums in a fixed order.
constexpr int64_t DistanceColumns(int64_t queries, int64_t keys) {
  return queries > 0 && keys > 0 ? queries + keys - 1 : 0;
}
void SpreadPositionBias(const PositionBias& bias, const float* table, int64_t queries, int64_t keys, float* spread);
void GatherPositionBias(const PositionBias& bias, const float* dspread, int64_t queries, int64_t keys, float* dtable);

// Gradients, written (not added): dquery, dkey, dvalue have the layouts of query, key, value; doutput that of output.
// dmask (may be null) is ADDED to: gradient of a float mask, same strides as the mask, for broadcast masks too
// (deterministic).
void AttentionBackward(const AttentionShape& shape, const float* query, const float* key, const float* value,
                       const float* output, SoftmaxRows rows, const float* doutput, float* dquery, float* dkey,
                       float* dvalue, float* dmask);

// Their slots in the table of a device.
struct AttentionKernels : virtual Table {
  Kernel<kernels::AttentionForward> AttentionForward{"attention", *this};
  Kernel<kernels::SpreadPositionBias> SpreadPositionBias{"spread_position_bias", *this};
  Kernel<kernels::GatherPositionBias> GatherPositionBias{"gather_position_bias", *this};
  Kernel<kernels::AttentionBackward> AttentionBackward{"attention backward", *this};
};

}  // namespace attnkit::kernels
