// The sentences of a ragged batch (attnkit/kernels/ragged.h) as blocks and warps of the device find theirs.
#pragma once

#include <cstdint>
#include <vector>

#include "attnkit/kernels/ragged.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"

namespace attnkit::cuda {

// Of one sentence: where its rows and pairs lie, and how many tiles the sentences before it have.
struct RaggedSentence {
  int64_t tiles_before, pairs;
  int32_t first_query, queries, first_key, keys;
};

// How a sentence is cut into tiles: so many of its queries (or of its keys), times pieces of so many keys, if any. No
// tile has rows of two sentences, so that a sentence is computed alike in every batch.
struct RaggedCut {
  int32_t rows = 1;
  int32_t piece = 0;
  bool by_key = false;
  bool without_keys = false;  // whether queries that have no keys get a tile too: no memory bounds how many there are
};

// A tile of a sentence.
struct RaggedTile : RaggedSentence {
  int32_t row, count;  // its rows, the first counted within the sentence
  int32_t key;         // where its piece of keys starts
};

// What a query reads of the keys of its sentence.
struct RaggedWindow {
  int32_t from, to;
  __device__ bool Reads(int64_t key) const { return from <= key && key < to; }
};

// The tiles of a batch, on the device.
struct RaggedTiles {
  const RaggedSentence* sentences;
  int64_t sentence_count, count;
  RaggedCut cut;
  const int32_t *begins, *ends;

  __device__ RaggedTile At(int64_t tile) const {
    int64_t low = 0, high = sentence_count;  // the last sentence that starts at `tile` or before
    while (high - low > 1) {
      const int64_t middle = (low + high) / 2;
      (sentences[middle].tiles_before <= tile ? low : high) = middle;
    }
    RaggedTile found{sentences[low], 0, 0, 0};
    const int64_t rest = tile - found.tiles_before;
    const int64_t pieces = cut.piece ? (found.keys + int64_t{cut.piece} - 1) / cut.piece : 1;
    found.row = static_cast<int32_t>(rest / pieces * cut.rows);
    const int32_t left = (cut.by_key ? found.keys : found.queries) - found.row;
    found.count = left < cut.rows ? left : cut.rows;
    found.key = static_cast<int32_t>(rest % pieces * cut.piece);
    return found;
  }

  // Of query `i` of the sentence.
  __device__ RaggedWindow Window(const RaggedSentence& sentence, int64_t i) const {
    RaggedWindow window{0, sentence.keys};
    if (ends) window.to = Within(ends[sentence.first_query + i], sentence.keys);
    if (begins) window.from = Within(begins[sentence.first_query + i], window.to);
    return window;
  }

 private:
  __device__ static int32_t Within(int32_t x, int32_t most) { return x < 0 ? 0 : x < most ? x : most; }
};

// Keeps them for as long as a call runs: the offsets go to the device once, in one copy.
class UploadedTiles {
 public:
  UploadedTiles(const kernels::RaggedShape& shape, RaggedCut cut)
      : UploadedTiles(shape, cut, std::vector<RaggedSentence>()) {}

  const RaggedTiles& tiles() const { return tiles_; }
  int64_t count() const { return tiles_.count; }

 private:
  UploadedTiles(const kernels::RaggedShape& shape, RaggedCut cut, std::vector<RaggedSentence>&& sentences)
      : tiles_{nullptr, 0, CutSentences(shape, cut, sentences), cut, shape.begins, shape.ends},
        uploaded_(sentences.data(), static_cast<int64_t>(sentences.size())) {
    tiles_.sentences = uploaded_.data();
    tiles_.sentence_count = static_cast<int64_t>(sentences.size());
  }

  // The number of tiles.
  static int64_t CutSentences(const kernels::RaggedShape& shape, RaggedCut cut,
                              std::vector<RaggedSentence>& sentences) {
    int64_t count = 0;
    for (int64_t b = 0; b < shape.batch; ++b) {
      const int32_t first_query = shape.query_offsets[b], queries = shape.query_offsets[b + 1] - first_query;
      const int32_t first_key = shape.key_offsets[b], keys = shape.key_offsets[b + 1] - first_key;
      if (queries == 0 || (keys == 0 && !cut.without_keys)) continue;
      sentences.push_back({count, shape.block_offsets[b], first_query, queries, first_key, keys});
      const int64_t rows = cut.by_key ? keys : queries;
      count += (rows + cut.rows - 1) / cut.rows * (cut.piece ? (keys + int64_t{cut.piece} - 1) / cut.piece : 1);
    }
    return count;
  }

  RaggedTiles tiles_;
  Uploaded<RaggedSentence> uploaded_;
};

// ----- A warp for each query.

// The query of this warp. kernel(i) by all lanes: i in [0, keys) of them.
struct RaggedRow {
  int64_t query, pairs;  // its number in the batch; where its pairs start
  int32_t keys;
  RaggedWindow window;
};

constexpr int kRaggedRowsOfBlock = 8;

// False behind the last, for a whole warp.
__device__ inline bool FindRow(const RaggedTiles& tiles, RaggedRow& row) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kRaggedRowsOfBlock + threadIdx.x / kWarp;
  if (index >= tiles.count) return false;
  const RaggedTile tile = tiles.At(index);
  row = {int64_t{tile.first_query} + tile.row, tile.pairs + int64_t{tile.row} * tile.keys, tile.keys,
         tiles.Window(tile, tile.row)};
  return true;
}

// kernel(tiles, arguments...) with a warp for each query that has keys (or for each there is).
template <typename... Parameters, typename... Arguments>
void LaunchRows(const kernels::RaggedShape& shape, bool without_keys, void (*kernel)(RaggedTiles, Parameters...),
                const Arguments&... arguments) {
  RaggedCut cut;
  cut.without_keys = without_keys;
  const UploadedTiles rows(shape, cut);
  Launch({dim3(Blocks(rows.count(), kRaggedRowsOfBlock)), dim3(kRaggedRowsOfBlock * kWarp)}, kernel, rows.tiles(),
         arguments...);
}

}  // namespace attnkit::cuda
