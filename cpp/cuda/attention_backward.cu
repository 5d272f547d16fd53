// Attention backward (attnkit/kernels/attention.h) on CUDA (Dao et al., "FlashAttention", 2022): a block for each tile
// of queries, which sums dquery, then one for each tile of keys, which sums dkey and dvalue. The scores are made twice,
// where adding to dquery from the tiles of keys would need an order of its own.
#include "cuda/attention_gradient.h"
#include "cuda/attention_tile.h"
#include "cuda/kernels.h"
#include "cuda/warp.h"
#include "kernels/attention/geometry.h"

namespace attnkit::cuda {
namespace {

// A warp for each row: delta = rowsum(doutput * output).
__global__ void DeltaKernel(AttentionCall call, const float* output, const float* doutput, int64_t longest,
                            float* delta) {
  const kernels::AttentionShape& shape = call.shape;
  const int64_t at = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / kWarp;
  const int64_t pair = at / longest, i = at % longest, b = pair / shape.heads, h = pair % shape.heads;
  if (b >= shape.batch) return;  // the whole warp
  const SequencePlace place(call, b);
  if (i >= place.queries) return;
  const int64_t row = i * shape.output.row_stride;
  const float* o = HeadRows(output, shape.output, call.query_packed, b, place.query_start, h) + row;
  const float* d = HeadRows(doutput, shape.output, call.query_packed, b, place.query_start, h) + row;
  float sum = 0.0f;
  for (int64_t n = threadIdx.x % kWarp; n < shape.d_value; n += kWarp) sum = fmaf(o[n], d[n], sum);
  sum = WarpSum(sum);
  if (threadIdx.x % kWarp == 0) delta[h * call.total_queries + place.query_row + i] = sum;
}

// blockIdx.x: tiles of queries of (sequence, head); y: groups of columns.
template <int kRows, int kFours>
__global__ void __launch_bounds__(kTileThreads, 2)
    DQueryKernel(AttentionCall call, BackwardData data, float* dquery, int64_t tiles) {
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
  const float* doutput = HeadRows(data.doutput, shape.output, call.query_packed, b, place.query_start, h);
  const float* key = HeadRows(data.key, shape.key, call.key_packed, b, place.key_start, kv_head);
  const float* value = HeadRows(data.value, shape.value, call.key_packed, b, place.key_start, kv_head);
  const ScoreRule rule(shape, b, h);
  const RowsView queries{query + first * shape.query.row_stride, shape.query.row_stride, count};
  const RowsView doutputs{doutput + first * shape.output.row_stride, shape.output.row_stride, count};
  const int64_t first_column = static_cast<int64_t>(blockIdx.y) * kTileColumns * kFours;

  float sums[kRows][4 * kFours] = {};
  const int64_t seen_begin = VisibleKeys(shape, first, keys).begin / kTileColumns * kTileColumns;
  const int64_t seen_end = VisibleKeys(shape, first + count - 1, keys).end;
  for (int64_t k0 = seen_begin; k0 < seen_end; k0 += kTileColumns) {
    const int k_count = static_cast<int>(std::min<int64_t>(kTileColumns, keys - k0));
    const RowsView key_rows{key + k0 * shape.key.row_stride, shape.key.row_stride, k_count};
    float products[kRows][4], dweights[kRows][4];
    TileProducts<kRows>(queries, key_rows, shape.d_head, stage, products);
    TileProducts<kRows>(doutputs, {value + k0 * shape.value.row_stride, shape.value.row_stride, k_count}, shape.d_value,
                        stage, dweights);
    ATTNKIT_UNROLL
    for (int i = 0; i < kRows; ++i) {
      const int row = ty * kRows + i;
      const int64_t at = std::min<int64_t>(first + row, place.queries - 1), j0 = k0 + tx * 4;
      KeyRange range = VisibleKeys(shape, at, keys);
      if (row >= count) range.end = range.begin;
      const RowTerms terms(data, h * call.total_queries + place.query_row + at);
      float kept[4];
      DropoutFactors(call, h, place.query_row + at, j0 / 4, kept);
      ATTNKIT_UNROLL
      for (int j = 0; j < 4; ++j) {
        float d = 0.0f;
        if (range.Has(j0 + j)) {
          d = PairGradient(rule, terms, shape.scale, products[i][j], dweights[i][j], kept[j], at, j0 + j).dproduct;
        }
        tile[row * kTileStride + tx * 4 + j] = d;
      }
    }
    AddTileProduct<kRows, kFours>(tile, key_rows, first_column, shape.d_head, stage, sums);
  }

  float* out = HeadRows(dquery, shape.query, call.query_packed, b, place.query_start, h);
  ATTNKIT_UNROLL
  for (int i = 0; i < kRows; ++i) {
    const int row = ty * kRows + i;
    if (row < count)
      WriteRow<kFours>(sums[i], 1.0f, first_column, shape.d_head, out + (first + row) * shape.query.row_stride);
  }
}

// blockIdx.x: tiles of keys of (sequence, head of keys); y: groups of columns of dkey and of dvalue. The query heads of
// a group come one after the other.
template <int kRows, int kFours>
__global__ void __launch_bounds__(kTileThreads, 2)
    DKeyKernel(AttentionCall call, BackwardData data, float* dkey, float* dvalue, int64_t tiles) {
  constexpr int kTileRows = kTileSide * kRows;
  alignas(16) __shared__ float tile[kTileRows * kTileStride];
  alignas(16) __shared__ float stage[kTileStage];
  const kernels::AttentionShape& shape = call.shape;
  const int tx = static_cast<int>(threadIdx.x) % kTileSide, ty = static_cast<int>(threadIdx.x) / kTileSide;
  const int64_t pair = blockIdx.x / tiles, b = pair / shape.kv_heads, kv_head = pair % shape.kv_heads;
  const int64_t first = blockIdx.x % tiles * kTileRows, group = shape.heads / shape.kv_heads;
  const SequencePlace place(call, b);
  if (first >= place.keys) return;
  const int count = static_cast<int>(std::min<int64_t>(kTileRows, place.keys - first));
  const float* key = HeadRows(data.key, shape.key, call.key_packed, b, place.key_start, kv_head);
  const float* value = HeadRows(data.value, shape.value, call.key_packed, b, place.key_start, kv_head);
  const RowsView key_rows{key + first * shape.key.row_stride, shape.key.row_stride, count};
  const RowsView value_rows{value + first * shape.value.row_stride, shape.value.row_stride, count};
  const int64_t first_column = static_cast<int64_t>(blockIdx.y) * kTileColumns * kFours;

  float dkeys[kRows][4 * kFours] = {}, dvalues[kRows][4 * kFours] = {};
  for (int64_t h = kv_head * group; h < (kv_head + 1) * group; ++h) {
    const float* query = HeadRows(data.query, shape.query, call.query_packed, b, place.query_start, h);
    const float* doutput = HeadRows(data.doutput, shape.output, call.query_packed, b, place.query_start, h);
    const ScoreRule rule(shape, b, h);
    const int64_t first_row = h * call.total_queries + place.query_row;
    for (int64_t q0 = 0; q0 < place.queries; q0 += kTileColumns) {
      const int q_count = static_cast<int>(std::min<int64_t>(kTileColumns, place.queries - q0));
      if (VisibleKeys(shape, q0, place.keys).begin >= first + count ||
          VisibleKeys(shape, q0 + q_count - 1, place.keys).end <= first)
        continue;
      const RowsView queries{query + q0 * shape.query.row_stride, shape.query.row_stride, q_count};
      const RowsView doutputs{doutput + q0 * shape.output.row_stride, shape.output.row_stride, q_count};
      float products[kRows][4], dweights[kRows][4];
      TileProducts<kRows>(key_rows, queries, shape.d_head, stage, products);
      TileProducts<kRows>(value_rows, doutputs, shape.d_value, stage, dweights);
      ATTNKIT_UNROLL
      for (int j = 0; j < 4; ++j) {
        const int column = tx * 4 + j;
        const int64_t at = std::min<int64_t>(q0 + column, place.queries - 1), key0 = first + ty * kRows;
        KeyRange range = VisibleKeys(shape, at, place.keys);
        if (column >= q_count) range.end = range.begin;
        const RowTerms terms(data, first_row + at);
        float kept[4];
        DropoutFactors(call, h, place.query_row + at, key0 / 4, kept);
        if constexpr (kRows == 1)
          kept[0] = key0 % 4 == 0 ? kept[0] : key0 % 4 == 1 ? kept[1] : key0 % 4 == 2 ? kept[2] : kept[3];
        ATTNKIT_UNROLL
        for (int i = 0; i < kRows; ++i) {
          float weight = 0.0f, d = 0.0f;
          if (range.Has(key0 + i)) {
            const PairGradient gradient(rule, terms, shape.scale, products[i][j], dweights[i][j], kept[i], at,
                                        key0 + i);
            weight = gradient.weight, d = gradient.dproduct;
          }
          tile[(ty * kRows + i) * kTileStride + column] = weight;
          products[i][j] = d;
        }
      }
      AddTileProduct<kRows, kFours>(tile, doutputs, first_column, shape.d_value, stage, dvalues);
      ATTNKIT_UNROLL
      for (int i = 0; i < kRows; ++i) {
        ATTNKIT_UNROLL
        for (int j = 0; j < 4; ++j) tile[(ty * kRows + i) * kTileStride + tx * 4 + j] = products[i][j];
      }
      AddTileProduct<kRows, kFours>(tile, queries, first_column, shape.d_head, stage, dkeys);
    }
  }

  float* key_out = HeadRows(dkey, shape.key, call.key_packed, b, place.key_start, kv_head);
  float* value_out = HeadRows(dvalue, shape.value, call.key_packed, b, place.key_start, kv_head);
  ATTNKIT_UNROLL
  for (int i = 0; i < kRows; ++i) {
    const int64_t row = ty * kRows + i, at = first + row;
    if (row >= count) continue;
    WriteRow<kFours>(dkeys[i], 1.0f, first_column, shape.d_head, key_out + at * shape.key.row_stride);
    WriteRow<kFours>(dvalues[i], 1.0f, first_column, shape.d_value, value_out + at * shape.value.row_stride);
  }
}

}  // namespace

void AttentionBackward(const kernels::AttentionShape& shape, const float* query, const float* key, const float* value,
                       const float* output, kernels::SoftmaxRows rows, const float* doutput, float* dquery, float* dkey,
                       float* dvalue, float* dmask) {
  if (shape.batch == 0 || shape.heads == 0) return;
  kernels::attention::CountProducts(shape, 3 * shape.d_head + 2 * shape.d_value);
  const AttentionPlan plan(shape);
  const AttentionCall& call = plan.call();
  const int64_t queries = plan.longest_queries(), keys = plan.longest_keys();
  const Scratch<float> delta(shape.heads * call.total_queries);
  constexpr int kThreads = 256;
  Launch({dim3(Blocks(shape.batch * shape.heads * queries, kThreads / kWarp)), dim3(kThreads)}, DeltaKernel, call,
         output, doutput, queries, delta.data());
  const BackwardData data{query, key, value, doutput, rows, delta.data()};
  WithTileShape(queries, shape.d_head, [&](auto k_rows, auto k_fours) {
    constexpr int kRows = decltype(k_rows)::kValue, kFours = decltype(k_fours)::kValue;
    const int64_t tiles = Blocks(queries, kTileSide * kRows);
    Launch({dim3(static_cast<unsigned>(shape.batch * shape.heads * tiles), Blocks(shape.d_head, kTileColumns * kFours)),
            dim3(kTileThreads)},
           DQueryKernel<kRows, kFours>, call, data, dquery, tiles);
  });
  const int64_t wider = std::max(shape.d_head, shape.d_value);
  WithTileShape(keys, wider, [&](auto k_rows, auto k_fours) {
    constexpr int kRows = decltype(k_rows)::kValue, kFours = decltype(k_fours)::kValue;
    const int64_t tiles = Blocks(keys, kTileSide * kRows);
    Launch({dim3(static_cast<unsigned>(shape.batch * shape.kv_heads * tiles), Blocks(wider, kTileColumns * kFours)),
            dim3(kTileThreads)},
           DKeyKernel<kRows, kFours>, call, data, dkey, dvalue, tiles);
  });
  if (dmask && shape.mask_kind == kernels::MaskKind::kFloat) AddMaskGradient(plan, data, dmask);
}

}  // namespace attnkit::cuda
