// Attention forward (attnkit/kernels/attention.h) on CUDA: a block for each tile of queries of a head, through which
// keys and values stream; the softmax runs along (Dao et al., "FlashAttention", 2022).
#include "cuda/attention_score.h"
#include "cuda/attention_tile.h"
#include "cuda/kernels.h"
#include "kernels/attention/geometry.h"

namespace attnkit::cuda {
namespace {

struct ForwardData {
  const float *query, *key, *value;
  float* output;
  kernels::SoftmaxRows rows;
  float* weights;
};

__device__ float FiniteShift(float maximum) { return maximum == -INFINITY ? 0.0f : maximum; }

// blockIdx.x: tiles of queries of (sequence, head); y: groups of output columns, each of which makes the scores anew.
template <int kRows, int kFours>
__global__ void __launch_bounds__(kTileThreads, 2) ForwardKernel(AttentionCall call, ForwardData data, int64_t tiles) {
  constexpr int kTileRows = kTileSide * kRows;
  alignas(16) __shared__ float tile[kTileRows * kTileStride];
  alignas(16) __shared__ float stage[kTileStage];
  const kernels::AttentionShape& shape = call.shape;
  const int tx = static_cast<int>(threadIdx.x) % kTileSide, ty = static_cast<int>(threadIdx.x) / kTileSide;
  const int64_t pair = blockIdx.x / tiles, b = pair / shape.heads, h = pair % shape.heads;
  const int64_t first = blockIdx.x % tiles * kTileRows;
  const SequencePlace place(call, b);
  if (first >= place.queries) return;
  const int count = static_cast<int>(std::min<int64_t>(kTileRows, place.queries - first));
  const int64_t kv_head = h / (shape.heads / shape.kv_heads), keys = place.keys;
  const float* query = HeadRows(data.query, shape.query, call.query_packed, b, place.query_start, h);
  const float* key = HeadRows(data.key, shape.key, call.key_packed, b, place.key_start, kv_head);
  const float* value = HeadRows(data.value, shape.value, call.key_packed, b, place.key_start, kv_head);
  const ScoreRule rule(shape, b, h);
  const bool writes_weights = data.weights && blockIdx.y == 0;
  float* weights = data.weights + (data.weights ? place.weights_start + h * place.queries * keys : 0);

  float maximum[kRows], sum[kRows], output[kRows][4 * kFours];
  ATTNKIT_UNROLL
  for (int i = 0; i < kRows; ++i) {
    maximum[i] = -INFINITY, sum[i] = 0.0f;
    ATTNKIT_UNROLL
    for (float& number : output[i]) number = 0.0f;
  }
  const int64_t first_column = static_cast<int64_t>(blockIdx.y) * kTileColumns * kFours;
  const int64_t seen_begin = VisibleKeys(shape, first, keys).begin / kTileColumns * kTileColumns;
  const int64_t seen_end = VisibleKeys(shape, first + count - 1, keys).end;
  const RowsView queries{query + first * shape.query.row_stride, shape.query.row_stride, count};
  for (int64_t k0 = seen_begin; k0 < seen_end; k0 += kTileColumns) {
    const int k_count = static_cast<int>(std::min<int64_t>(kTileColumns, keys - k0));
    float scores[kRows][4];
    TileProducts<kRows>(queries, {key + k0 * shape.key.row_stride, shape.key.row_stride, k_count}, shape.d_head, stage,
                        scores);
    ATTNKIT_UNROLL
    for (int i = 0; i < kRows; ++i) {
      const int row = ty * kRows + i;
      const int64_t at = first + row, j0 = k0 + tx * 4;
      KeyRange range = VisibleKeys(shape, at, keys);
      if (row >= count) range.end = range.begin;
      float largest = -INFINITY;
      ATTNKIT_UNROLL
      for (int j = 0; j < 4; ++j) {
        scores[i][j] = range.Has(j0 + j) ? rule(scores[i][j], at, j0 + j, nullptr) : -INFINITY;
        largest = fmaxf(largest, scores[i][j]);
        // Weights first hold scores, so that asking for them changes nothing here.
        if (writes_weights && row < count && j0 + j < keys) weights[at * keys + j0 + j] = scores[i][j];
      }
      const float before = maximum[i];
      maximum[i] = fmaxf(before, RowMaximum(largest));
      const float shift = FiniteShift(maximum[i]), rescale = expf((before - shift) * rule.factor);
      float factors[4], part = 0.0f;
      DropoutFactors(call, h, place.query_row + at, j0 / 4, factors);
      ATTNKIT_UNROLL
      for (int j = 0; j < 4; ++j) {
        const float p = expf((scores[i][j] - shift) * rule.factor);
        part += p;
        tile[row * kTileStride + tx * 4 + j] = p * factors[j];
      }
      sum[i] = fmaf(sum[i], rescale, RowSum(part));
      ATTNKIT_UNROLL
      for (float& number : output[i]) number *= rescale;
    }
    AddTileProduct<kRows, kFours>(tile, {value + k0 * shape.value.row_stride, shape.value.row_stride, k_count},
                                  first_column, shape.d_value, stage, output);
  }

  float* out = HeadRows(data.output, shape.output, call.query_packed, b, place.query_start, h);
  ATTNKIT_UNROLL
  for (int i = 0; i < kRows; ++i) {
    const int row = ty * kRows + i;
    if (row >= count) continue;
    const int64_t at = first + row;
    const float share = sum[i] == 0.0f ? 0.0f : 1.0f / sum[i], shift = FiniteShift(maximum[i]);
    WriteRow<kFours>(output[i], share, first_column, shape.d_value, out + at * shape.output.row_stride);
    if (blockIdx.y != 0) continue;
    if (data.rows.maximum && tx == 0) {
      const int64_t to = h * call.total_queries + place.query_row + at;
      data.rows.maximum[to] = shift;
      data.rows.log_sum[to] = sum[i] == 0.0f ? INFINITY : logf(sum[i]);
    }
    if (!writes_weights) continue;
    // Each thread finds what it wrote itself.
    for (int64_t k0 = 0; k0 < keys; k0 += kTileColumns) {
      const bool seen = k0 >= seen_begin && k0 < seen_end;
      for (int64_t j = k0 + tx * 4; j < std::min(k0 + tx * 4 + 4, keys); ++j) {
        float& weight = weights[at * keys + j];
        weight = (seen ? expf((weight - shift) * rule.factor) : 0.0f) * share;
      }
    }
  }
}

}  // namespace

void AttentionForward(const kernels::AttentionShape& shape, const float* query, const float* key, const float* value,
                      float* output, kernels::SoftmaxRows rows, float* weights) {
  if (shape.batch == 0 || shape.heads == 0) return;
  kernels::attention::CountProducts(shape, shape.d_head + shape.d_value);
  const AttentionPlan plan(shape);
  const ForwardData data{query, key, value, output, rows, weights};
  WithTileShape(plan.longest_queries(), shape.d_value, [&](auto k_rows, auto k_fours) {
    constexpr int kRows = decltype(k_rows)::kValue, kFours = decltype(k_fours)::kValue;
    const int64_t tiles = Blocks(plan.longest_queries(), kTileSide * kRows);
    const unsigned groups = std::max(1u, Blocks(shape.d_value, kTileColumns * kFours));
    Launch({dim3(static_cast<unsigned>(shape.batch * shape.heads * tiles), groups), dim3(kTileThreads)},
           ForwardKernel<kRows, kFours>, plan.call(), data, tiles);
  });
}

}  // namespace attnkit::cuda
