// Additive scores (Bahdanau et al., 2015) and their gradients on CUDA.
#include "cuda/kernels.h"
#include "cuda/ragged_pairs.h"

namespace attnkit::cuda {
namespace {

using kernels::AdditiveGradients;
using kernels::AdditiveScore;
using kernels::RaggedShape;

struct ScoreTerm {
  const float *v, *coverage, *w;
  __device__ float OfPair(int64_t pair) const { return coverage ? coverage[pair] : 0.0f; }
  __device__ float operator()(float query, float key, int64_t c, float of_pair) const {
    const float z = query + key;
    return v[c] * tanhf(coverage ? z + of_pair * w[c] : z);
  }
  __device__ float Result(float sum, int64_t) const { return sum; }
};

// dcoverage(i, j) = dscores(i, j) * sum over columns of v (1 - tanh^2) w
struct CoverageTerm {
  const float *v, *coverage, *w, *dscores;
  __device__ float OfPair(int64_t pair) const { return coverage[pair]; }
  __device__ float operator()(float query, float key, int64_t c, float of_pair) const {
    const float hidden = tanhf(query + key + of_pair * w[c]);
    return v[c] * w[c] * (1.0f - hidden * hidden);
  }
  __device__ float Result(float sum, int64_t pair) const { return dscores[pair] * sum; }
};

// One column of the gradients of a tile's rows. Of queries also what the tile adds to dv and dw.
template <bool kByKey>
struct ColumnGradients {
  const float *rows, *terms, *dscores, *coverage;  // the sentence's, the first two at the column
  int64_t width, keys;
  float v, w, x;
  float sums[kByKey ? kTileRows : kTileRows + 2];

  __device__ void Term(int64_t term) { x = terms[term * width]; }
  __device__ void operator()(int t, int64_t i, int64_t j) {
    const float dscore = dscores[i * keys + j], covered = coverage ? coverage[i * keys + j] : 0.0f;
    const float z = rows[(kByKey ? j : i) * width] + x;
    const float hidden = tanhf(coverage ? z + covered * w : z);
    const float dz = dscore * v * (1.0f - hidden * hidden);
    sums[t] += dz;
    if constexpr (!kByKey) {
      sums[kTileRows] += dscore * hidden;
      sums[kTileRows + 1] += covered * dz;
    }
  }
};

// dquery is written, dkey (kByKey) added to. parts [2, tiles, width]: of dv and of dw, unless kByKey.
template <bool kByKey>
__global__ void GradientsKernel(RaggedTiles tiles, AdditiveScore s, const float* dscores, int64_t column_blocks,
                                float* gradient, float* parts) {
  constexpr int kValues = kByKey ? kTileRows : kTileRows + 2;
  __shared__ float room[kValues * kSlices * kWarp];
  const ColumnTile at(tiles, column_blocks);
  const RaggedTile& tile = at.tile;
  const int64_t column = at.column, width = s.width;
  const float *query = s.query + tile.first_query * width + column, *key = s.key + tile.first_key * width + column;
  ColumnGradients<kByKey> body{kByKey ? key : query,
                               kByKey ? query : key,
                               dscores + tile.pairs,
                               s.coverage ? s.coverage + tile.pairs : nullptr,
                               width,
                               tile.keys,
                               0.0f,
                               0.0f,
                               0.0f,
                               {}};
  if (column < width) {
    body.v = s.v[column];
    if (s.coverage) body.w = s.w[column];
    ForTerms<kByKey>(tiles, tile, at.slice, body);
  }
  const float sum = SumOverSlices(body.sums, room);
  if (column >= width) return;
  if (at.slice < tile.count) {
    float& to = gradient[((kByKey ? tile.first_key : tile.first_query) + tile.row + at.slice) * width + column];
    to = kByKey ? to + sum : sum;
  } else if (at.slice >= kTileRows && at.slice < kValues) {
    parts[((at.slice - kTileRows) * tiles.count + at.index) * width + column] = sum;
  }
}

// Column sums of the parts of dv, and of those of dw if there is one, in an order of the number of tiles alone.
__global__ void PartsKernel(const float* parts, int64_t tiles, int64_t width, int64_t column_blocks, float* dv,
                            float* dw) {
  __shared__ double room[kSlices][kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kWarp, slice = static_cast<int>(threadIdx.x) / kWarp;
  const int64_t column = blockIdx.x % column_blocks * kWarp + lane;
  const bool of_w = blockIdx.x >= column_blocks;
  double sum = 0.0;
  if (column < width) {
    for (int64_t tile = slice; tile < tiles; tile += kSlices) sum += parts[(of_w * tiles + tile) * width + column];
  }
  room[slice][lane] = sum;
  __syncthreads();
  if (slice != 0 || column >= width) return;
  for (int s = 1; s < kSlices; ++s) sum += room[s][lane];
  (of_w ? dw : dv)[column] = static_cast<float>(sum);
}

// parts: null with kByKey.
template <bool kByKey>
void Gradients(const UploadedTiles& tiles, const AdditiveScore& s, const float* dscores, float* gradient,
               float* parts) {
  Launch({dim3(Blocks(tiles.count() * ColumnBlocks(s.width), 1)), dim3(kSlices * kWarp)}, GradientsKernel<kByKey>,
         tiles.tiles(), s, dscores, ColumnBlocks(s.width), gradient, parts);
}

}  // namespace

void RaggedAdditiveScores(const RaggedShape& shape, const AdditiveScore& s, float* out) {
  ForPairs(shape, s.query, s.key, s.width, ScoreTerm{s.v, s.coverage, s.w}, out);
}

// A pass over queries and one over keys: tanh is cheap beside sums that many blocks would have to add to.
void RaggedAdditiveBackward(const RaggedShape& shape, const AdditiveScore& s, const float* dscores,
                            const AdditiveGradients& gradients) {
  const int64_t blocks = ColumnBlocks(s.width);
  {
    const UploadedTiles queries(shape, {kTileRows, 0, false, true});
    const Scratch<float> parts(2 * queries.count() * s.width);
    Gradients<false>(queries, s, dscores, gradients.dquery, parts.data());
    Launch({dim3(Blocks((gradients.dw ? 2 : 1) * blocks, 1)), dim3(kSlices * kWarp)}, PartsKernel, parts.data(),
           queries.count(), s.width, blocks, gradients.dv, gradients.dw);
  }
  Gradients<true>(UploadedTiles(shape, {kTileRows, 0, true, false}), s, dscores, gradients.dkey, nullptr);
  if (s.coverage && gradients.dcoverage)
    ForPairs(shape, s.query, s.key, s.width, CoverageTerm{s.v, s.coverage, s.w, dscores}, gradients.dcoverage);
}

}  // namespace attnkit::cuda
