// The two ways through the pairs of a ragged batch where vectors of `width` numbers meet: a number for each pair, and
// a vector for each query or key.
#pragma once

#include "cuda/ragged.h"

namespace attnkit::cuda {

constexpr int kTileRows = 4;  // rows that share what is loaded of the other side

// ----- A number for each pair: a sum over columns.

constexpr int kPairThreads = 256;
constexpr int32_t kPairKeys = 128;

// Lanes that share a pair: narrow vectors leave the others of a warp to other keys. Of `width` alone, as the order of
// its sum.
inline int LanesOfPair(int64_t width) {
  int lanes = 1;
  while (lanes < kWarp && lanes < width) lanes *= 2;
  return lanes;
}

// out(i, j) = term.Result(sum over columns c of term(query_i[c], key_j[c], c, term.OfPair(pair)), pair); zero where the
// query does not read the key.
template <typename Term>
__global__ void PairsKernel(RaggedTiles tiles, const float* query, const float* key, int64_t width, int lanes,
                            Term term, float* out) {
  const RaggedTile tile = tiles.At(blockIdx.x);
  const int group = static_cast<int>(threadIdx.x) / lanes, lane = static_cast<int>(threadIdx.x) % lanes;
  const int groups = kPairThreads / lanes;
  const float* queries = query + (int64_t{tile.first_query} + tile.row) * width;
  float* rows = out + tile.pairs + int64_t{tile.row} * tile.keys;
  const int64_t first_pair = rows - out;
  RaggedWindow windows[kTileRows];
  for (int t = 0; t < kTileRows; ++t)
    windows[t] = t < tile.count ? tiles.Window(tile, tile.row + t) : RaggedWindow{0, 0};
  const int left = tile.keys - tile.key < kPairKeys ? tile.keys - tile.key : kPairKeys;
  for (int start = 0; start < left; start += groups) {
    const int64_t j = int64_t{tile.key} + start + group;
    const bool inside = start + group < left;
    float sums[kTileRows] = {}, of_pair[kTileRows] = {};
    bool reads[kTileRows], any = false;
    for (int t = 0; t < kTileRows; ++t) {
      reads[t] = inside && windows[t].Reads(j);
      any = any || reads[t];
      if (reads[t]) of_pair[t] = term.OfPair(first_pair + int64_t{t} * tile.keys + j);
    }
    if (any) {
      const float* of_key = key + (tile.first_key + j) * width;
      for (int64_t c = lane; c < width; c += lanes) {
        const float k = of_key[c];
        for (int t = 0; t < kTileRows; ++t)
          if (reads[t]) sums[t] += term(queries[t * width + c], k, c, of_pair[t]);
      }
    }
    for (int distance = lanes / 2; distance > 0; distance /= 2) {
      for (int t = 0; t < kTileRows; ++t) sums[t] += __shfl_xor_sync(kAllLanes, sums[t], distance);
    }
    if (!inside || lane != 0) continue;
    for (int t = 0; t < tile.count; ++t) {
      const int64_t pair = int64_t{t} * tile.keys + j;
      rows[pair] = reads[t] ? term.Result(sums[t], first_pair + pair) : 0.0f;
    }
  }
}

template <typename Term>
void ForPairs(const kernels::RaggedShape& shape, const float* query, const float* key, int64_t width, const Term& term,
              float* out) {
  const UploadedTiles tiles(shape, {kTileRows, kPairKeys});
  Launch({dim3(Blocks(tiles.count(), 1)), dim3(kPairThreads)}, PairsKernel<Term>, tiles.tiles(), query, key, width,
         LanesOfPair(width), term, out);
}

// ----- A vector for each query or key: sums over the other side.

// A block has a warp of columns, and so many of them that share what is summed over: term i is of slice i % kSlices.
constexpr int kSlices = 8;

// The sums over the slices, in their order, of kValues <= kSlices values a thread: slice s gets that of values[s].
// `room`: kValues * kSlices * kWarp floats of shared memory, used once.
template <int kValues>
__device__ float SumOverSlices(const float (&values)[kValues], float* room) {
  static_assert(kValues <= kSlices);
  const int lane = static_cast<int>(threadIdx.x) % kWarp, slice = static_cast<int>(threadIdx.x) / kWarp;
  for (int v = 0; v < kValues; ++v) room[(v * kSlices + slice) * kWarp + lane] = values[v];
  __syncthreads();
  float sum = 0.0f;
  if (slice < kValues) {
    for (int s = 0; s < kSlices; ++s) sum += room[(slice * kSlices + s) * kWarp + lane];
  }
  return sum;
}

// Blocks of columns; a launch has them beside the tiles in x.
inline int64_t ColumnBlocks(int64_t width) { return (width + kWarp - 1) / kWarp; }

// Where this block of a launch of count * column_blocks blocks is.
struct ColumnTile {
  RaggedTile tile;
  int64_t index, column;
  int slice;

  __device__ ColumnTile(const RaggedTiles& tiles, int64_t column_blocks)
      : tile(tiles.At(blockIdx.x / column_blocks)),
        index(blockIdx.x / column_blocks),
        column(blockIdx.x % column_blocks * kWarp + threadIdx.x % kWarp),
        slice(static_cast<int>(threadIdx.x) / kWarp) {}
};

// Calls body(t, i, j) for the pairs that are read of each term of this thread's slice, after before(term): t of the
// tile's rows, query i and key j counted within the sentence. Rows are queries, terms keys; or with kByKey the other
// way round.
template <bool kByKey, typename Body>
__device__ void ForTerms(const RaggedTiles& tiles, const RaggedTile& tile, int slice, Body& body) {
  if (kByKey) {
    for (int64_t i = slice; i < tile.queries; i += kSlices) {
      const RaggedWindow window = tiles.Window(tile, i);
      if (window.from >= tile.row + tile.count || window.to <= tile.row) continue;
      body.Term(i);
      for (int t = 0; t < kTileRows; ++t)
        if (t < tile.count && window.Reads(tile.row + t)) body(t, i, int64_t{tile.row} + t);
    }
    return;
  }
  RaggedWindow windows[kTileRows];
  int32_t from = tile.keys, to = 0;
  for (int t = 0; t < kTileRows; ++t) {
    windows[t] = t < tile.count ? tiles.Window(tile, tile.row + t) : RaggedWindow{0, 0};
    if (windows[t].from < windows[t].to) {
      from = windows[t].from < from ? windows[t].from : from;
      to = windows[t].to > to ? windows[t].to : to;
    }
  }
  for (int64_t j = from / kSlices * kSlices + slice; j < to; j += kSlices) {
    body.Term(j);
    for (int t = 0; t < kTileRows; ++t)
      if (windows[t].Reads(j)) body(t, int64_t{tile.row} + t, j);
  }
}

}  // namespace attnkit::cuda
