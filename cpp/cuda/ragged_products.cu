// The products of attnkit/kernels/ragged.h on CUDA: queries with keys, weights with values, and weights transposed.
#include <utility>
#include <vector>

#include "attnkit/profile.h"
#include "cuda/kernels.h"
#include "cuda/ragged_pairs.h"
#include "kernels/ragged/walk.h"

namespace attnkit::cuda {
namespace {

struct Product {
  __device__ float OfPair(int64_t) const { return 0.0f; }
  __device__ float operator()(float query, float key, int64_t, float) const { return query * key; }
  __device__ float Result(float sum, int64_t) const { return sum; }
};

// One column of the rows of a tile.
struct WeightedSums {
  const float *weights, *rows;  // the sentence's, the latter at the column
  int64_t width, keys;
  float sums[kTileRows], x;

  __device__ void Term(int64_t term) { x = rows[term * width]; }
  __device__ void operator()(int t, int64_t i, int64_t j) { sums[t] += weights[i * keys + j] * x; }
};

// A row of out for each query, the sum over the keys of the weighted rows; with kByKey for each key, over queries, and
// added to.
template <bool kByKey>
__global__ void WeightedSumsKernel(RaggedTiles tiles, const float* weights, const float* rows, int64_t width,
                                   int64_t column_blocks, float* out) {
  __shared__ float room[kTileRows * kSlices * kWarp];
  const ColumnTile at(tiles, column_blocks);
  const RaggedTile& tile = at.tile;
  const int64_t first = kByKey ? tile.first_key : tile.first_query, other = kByKey ? tile.first_query : tile.first_key;
  WeightedSums body{weights + tile.pairs, rows + other * width + at.column, width, tile.keys, {}, 0.0f};
  if (at.column < width) ForTerms<kByKey>(tiles, tile, at.slice, body);
  const float sum = SumOverSlices(body.sums, room);
  if (at.column >= width || at.slice >= tile.count) return;
  float& to = out[(first + tile.row + at.slice) * width + at.column];
  to = kByKey ? to + sum : sum;
}

template <bool kByKey>
void SumRows(const kernels::RaggedShape& shape, const float* weights, const float* rows, int64_t width, float* out) {
  const UploadedTiles tiles(shape, {kTileRows, 0, kByKey, !kByKey});
  Launch({dim3(Blocks(tiles.count() * ColumnBlocks(width), 1)), dim3(kSlices * kWarp)}, WeightedSumsKernel<kByKey>,
         tiles.tiles(), weights, rows, width, ColumnBlocks(width), out);
}

// As on the CPU. Windows lie on the device: only who counts has to wait for them.
void CountProducts(kernels::RaggedShape shape, int64_t width) {
  if (!internal::Watching()) return;
  std::vector<int32_t> begins, ends;
  for (auto [device, host] : {std::pair(&shape.begins, &begins), std::pair(&shape.ends, &ends)}) {
    if (!*device) continue;
    host->resize(shape.queries());
    CopyToHost(*device, host->size() * sizeof(int32_t), host->data());
    *device = host->data();
  }
  CountArithmetic(2.0 * kernels::PairsRead(shape) * width, 0);
}

}  // namespace

void RaggedDots(const kernels::RaggedShape& shape, const float* query, const float* key, int64_t width, float* out) {
  CountProducts(shape, width);
  ForPairs(shape, query, key, width, Product{}, out);
}

void RaggedSums(const kernels::RaggedShape& shape, const float* weights, const float* value, int64_t width,
                float* out) {
  CountProducts(shape, width);
  SumRows<false>(shape, weights, value, width, out);
}

void RaggedTransposedSums(const kernels::RaggedShape& shape, const float* weights, const float* query, int64_t width,
                          float* out) {
  CountProducts(shape, width);
  SumRows<true>(shape, weights, query, width, out);
}

}  // namespace attnkit::cuda
