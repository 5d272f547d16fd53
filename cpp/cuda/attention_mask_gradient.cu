// The gradient of a float mask of attention on CUDA. A number of a broadcast mask collects from many pairs: each block
// takes a tile of queries and keys through its sequences and heads, sums it along what the mask does not tell apart,
// and the tiles' sums are added in order.
#include "cuda/attention_gradient.h"
#include "cuda/attention_tile.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"

namespace attnkit::cuda {
namespace {

constexpr int kRows = 4, kTile = kTileColumns;

// What the numbers of a tile are summed to.
enum class Lines { kPairs, kKeys, kQueries, kOne, kDistances };

Lines LinesOf(const int64_t strides[4]) {
  if (strides[2] < 0) return Lines::kDistances;
  if (strides[2] == 0) return strides[3] == 0 ? Lines::kOne : Lines::kKeys;
  return strides[3] == 0 ? Lines::kQueries : Lines::kPairs;
}

struct MaskPlan {
  Lines lines;
  int64_t parts, sequences, heads;  // of sequences that a broadcast mask collects apart; of the mask
  int64_t queries, keys, query_tiles, key_tiles, size;  // numbers of a tile's sums
  float *dmask, *sums;  // [parts, sequences, heads, query tiles, key tiles, size]; null when each pair is its own

  __device__ const float* SumsOf(int64_t part, int64_t mask, int64_t query_tile, int64_t key_tile) const {
    return sums + (((part * sequences * heads + mask) * query_tiles + query_tile) * key_tiles + key_tile) * size;
  }
};

// What line `line` of a tile adds up to.
__device__ float LineSum(Lines lines, int line, const float* tile) {
  float sum = 0.0f;
  switch (lines) {
    case Lines::kPairs: return tile[line / kTile * kTileStride + line % kTile];
    case Lines::kKeys:
      for (int r = 0; r < kTile; ++r) sum += tile[r * kTileStride + line];
      return sum;
    case Lines::kQueries:
      for (int c = 0; c < kTile; ++c) sum += tile[line * kTileStride + c];
      return sum;
    case Lines::kOne:
      for (int r = 0; r < kTile; ++r) {
        float row = 0.0f;
        for (int c = 0; c < kTile; ++c) row += tile[r * kTileStride + c];
        sum += row;
      }
      return sum;
    case Lines::kDistances:
      for (int r = 0; r < kTile; ++r) {
        const int c = r + line - (kTile - 1);
        if (c >= 0 && c < kTile) sum += tile[r * kTileStride + c];
      }
      return sum;
  }
  return sum;
}

__global__ void __launch_bounds__(kTileThreads) MaskKernel(AttentionCall call, BackwardData data, MaskPlan plan) {
  alignas(16) __shared__ float tile[kTile * kTileStride];
  alignas(16) __shared__ float stage[kTileStage];
  const kernels::AttentionShape& shape = call.shape;
  const int tx = static_cast<int>(threadIdx.x) % kTileSide, ty = static_cast<int>(threadIdx.x) / kTileSide;
  int64_t at = blockIdx.x;
  const int64_t k0 = at % plan.key_tiles * kTile;
  at /= plan.key_tiles;
  const int64_t q0 = at % plan.query_tiles * kTile;
  at /= plan.query_tiles;
  const int64_t mask_head = at % plan.heads;
  at /= plan.heads;
  const int64_t mask_sequence = at % plan.sequences, part = at / plan.sequences;
  const int64_t begin = plan.sequences > 1 ? mask_sequence : part * shape.batch / plan.parts;
  const int64_t end = plan.sequences > 1 ? mask_sequence + 1 : (part + 1) * shape.batch / plan.parts;
  const int64_t first_head = plan.heads > 1 ? mask_head : 0, last_head = plan.heads > 1 ? mask_head + 1 : shape.heads;

  float sums[kRows][4] = {};
  for (int64_t b = begin; b < end; ++b) {
    const SequencePlace place(call, b);
    if (q0 >= place.queries || k0 >= place.keys) continue;
    const int q_count = static_cast<int>(std::min<int64_t>(kTile, place.queries - q0));
    const int k_count = static_cast<int>(std::min<int64_t>(kTile, place.keys - k0));
    if (VisibleKeys(shape, q0, place.keys).begin >= k0 + k_count ||
        VisibleKeys(shape, q0 + q_count - 1, place.keys).end <= k0)
      continue;
    for (int64_t h = first_head; h < last_head; ++h) {
      const int64_t kv_head = h / (shape.heads / shape.kv_heads);
      const float* query = HeadRows(data.query, shape.query, call.query_packed, b, place.query_start, h);
      const float* doutput = HeadRows(data.doutput, shape.output, call.query_packed, b, place.query_start, h);
      const float* key = HeadRows(data.key, shape.key, call.key_packed, b, place.key_start, kv_head);
      const float* value = HeadRows(data.value, shape.value, call.key_packed, b, place.key_start, kv_head);
      const ScoreRule rule(shape, b, h);
      float products[kRows][4], dweights[kRows][4];
      TileProducts<kRows>({query + q0 * shape.query.row_stride, shape.query.row_stride, q_count},
                          {key + k0 * shape.key.row_stride, shape.key.row_stride, k_count}, shape.d_head, stage,
                          products);
      TileProducts<kRows>({doutput + q0 * shape.output.row_stride, shape.output.row_stride, q_count},
                          {value + k0 * shape.value.row_stride, shape.value.row_stride, k_count}, shape.d_value, stage,
                          dweights);
      ATTNKIT_UNROLL
      for (int i = 0; i < kRows; ++i) {
        const int64_t q = q0 + ty * kRows + i, j0 = k0 + tx * 4;
        if (q >= place.queries) continue;
        const KeyRange range = VisibleKeys(shape, q, place.keys);
        const RowTerms terms(data, h * call.total_queries + place.query_row + q);
        float kept[4];
        DropoutFactors(call, h, place.query_row + q, j0 / 4, kept);
        ATTNKIT_UNROLL
        for (int j = 0; j < 4; ++j) {
          if (!range.Has(j0 + j)) continue;
          sums[i][j] +=
              PairGradient(rule, terms, shape.scale, products[i][j], dweights[i][j], kept[j], q, j0 + j).dscore;
        }
      }
    }
  }

  const int64_t* strides = shape.mask_strides;
  ATTNKIT_UNROLL
  for (int i = 0; i < kRows; ++i) {
    ATTNKIT_UNROLL
    for (int j = 0; j < 4; ++j) {
      const int r = ty * kRows + i, c = tx * 4 + j;
      tile[r * kTileStride + c] = sums[i][j];
      if (!plan.sums && q0 + r < plan.queries && k0 + c < plan.keys) {
        plan.dmask[mask_sequence * strides[0] + mask_head * strides[1] + (q0 + r) * strides[2] +
                   (k0 + c) * strides[3]] += sums[i][j];
      }
    }
  }
  __syncthreads();
  if (!plan.sums) return;
  for (int64_t line = threadIdx.x; line < plan.size; line += kTileThreads) {
    plan.sums[blockIdx.x * plan.size + line] = LineSum(plan.lines, static_cast<int>(line), tile);
  }
}

// The numbers of the mask, which add their lines of all tiles.
struct FinishBody {
  MaskPlan plan;
  int64_t strides[4], numbers;  // of a (sequence, head) of the mask

  __device__ void operator()(int64_t i) const {
    const int64_t mask = i / numbers, e = i % numbers, first = plan.lines == Lines::kDistances ? plan.queries - 1 : 0;
    int64_t to = mask / plan.heads * strides[0] + mask % plan.heads * strides[1];
    double sum = 0.0;
    for (int64_t part = 0; part < plan.parts; ++part) {
      switch (plan.lines) {
        case Lines::kPairs: {
          const int64_t q = e / plan.keys, k = e % plan.keys;
          sum += plan.SumsOf(part, mask, q / kTile, k / kTile)[q % kTile * kTile + k % kTile];
          break;
        }
        case Lines::kKeys:
          for (int64_t t = 0; t < plan.query_tiles; ++t) sum += plan.SumsOf(part, mask, t, e / kTile)[e % kTile];
          break;
        case Lines::kQueries:
          for (int64_t t = 0; t < plan.key_tiles; ++t) sum += plan.SumsOf(part, mask, e / kTile, t)[e % kTile];
          break;
        case Lines::kOne:
          for (int64_t t = 0; t < plan.query_tiles * plan.key_tiles; ++t) sum += *plan.SumsOf(part, mask, 0, t);
          break;
        case Lines::kDistances: {
          // Distance d is in two tiles of a row of tiles.
          const int64_t d = e - first, tiles = (d + (plan.query_tiles + 1) * kTile) / kTile - plan.query_tiles - 1;
          for (int64_t t = 0; t < plan.query_tiles; ++t) {
            for (int64_t k = t + tiles; k <= t + tiles + 1; ++k) {
              const int64_t line = d - (k - t) * kTile + kTile - 1;
              if (k >= 0 && k < plan.key_tiles && line >= 0) sum += plan.SumsOf(part, mask, t, k)[line];
            }
          }
          break;
        }
      }
    }
    switch (plan.lines) {
      case Lines::kPairs: to += e / plan.keys * strides[2] + e % plan.keys * strides[3]; break;
      case Lines::kKeys: to += e * strides[3]; break;
      case Lines::kQueries: to += e * strides[2]; break;
      case Lines::kOne: break;
      case Lines::kDistances: to += e - first; break;
    }
    plan.dmask[to] += static_cast<float>(sum);
  }
};

}  // namespace

void AddMaskGradient(const AttentionPlan& plan, const BackwardData& data, float* dmask) {
  constexpr int64_t kMostParts = 32, kMostMatrices = 8;
  const kernels::AttentionShape& shape = plan.call().shape;
  MaskPlan mask{};
  mask.lines = LinesOf(shape.mask_strides);
  mask.sequences = shape.mask_strides[0] ? shape.batch : 1;
  mask.heads = shape.mask_strides[1] ? shape.heads : 1;
  const bool pairs = mask.lines == Lines::kPairs;
  mask.parts = mask.sequences > 1 ? 1 : std::min(shape.batch, pairs ? kMostMatrices : kMostParts);
  mask.queries = plan.longest_queries(), mask.keys = plan.longest_keys();
  mask.query_tiles = Blocks(mask.queries, kTile), mask.key_tiles = Blocks(mask.keys, kTile);
  mask.dmask = dmask;
  if (mask.query_tiles * mask.key_tiles == 0) return;
  int64_t numbers = 1;
  mask.size = 1;
  switch (mask.lines) {
    case Lines::kPairs: mask.size = kTile * kTile, numbers = mask.queries * mask.keys; break;
    case Lines::kKeys: mask.size = kTile, numbers = mask.keys; break;
    case Lines::kQueries: mask.size = kTile, numbers = mask.queries; break;
    case Lines::kOne: break;
    case Lines::kDistances: mask.size = 2 * kTile - 1, numbers = mask.queries + mask.keys - 1; break;
  }
  const int64_t blocks = mask.parts * mask.sequences * mask.heads * mask.query_tiles * mask.key_tiles;
  const bool own = pairs && mask.parts == 1;
  const Scratch<float> sums(own ? 0 : blocks * mask.size);
  mask.sums = own ? nullptr : sums.data();
  Launch({dim3(static_cast<unsigned>(blocks)), dim3(kTileThreads)}, MaskKernel, plan.call(), data, mask);
  if (own) return;
  FinishBody finish{mask, {}, numbers};
  std::copy_n(shape.mask_strides, 4, finish.strides);
  ForEach(mask.sequences * mask.heads * numbers, finish);
}

}  // namespace attnkit::cuda
