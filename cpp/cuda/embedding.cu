// Lookup of embeddings of attnkit/kernels/rows.h on CUDA, and the scatter of its gradient.
#include "cuda/check_ids.h"
#include "cuda/dropout.h"
#include "cuda/kernels.h"
#include "cuda/row_threads.h"
#include "cuda/sorted_rows.h"

namespace attnkit::cuda {
namespace {

struct LookupColumn {
  const float *row, *position;
  float scale;
  float* out;
  __device__ void operator()(int64_t c, float factor) {
    float v = row[c] * scale;
    if (position) v += position[c];
    out[c] = v * factor;
  }
};

struct LookupRow {
  const int32_t* ids;
  const float* weight;
  int64_t width;
  float scale;
  const float* positions;
  const int32_t* position_ids;
  DropoutRule rule;
  float* out;
  template <typename Threads>
  __device__ void operator()(Threads& threads, int64_t t) const {
    LookupColumn column = {weight + ids[t] * width, positions ? positions + position_ids[t] * width : nullptr, scale,
                           out + t * width};
    ForDropoutColumns(threads, rule, t * width, width, column);
  }
};

// 32 columns of a row that occurs, a warp: the first of its keys adds up for all of them, in the order of the tokens.
__global__ void ScatterKernel(int64_t tokens, const uint64_t* keys, const float* dout, int64_t width, float scale,
                              DropoutRule rule, float* dtable) {
  const int64_t tiles = (width + kWarp - 1) / kWarp;
  const int64_t task = static_cast<int64_t>(blockIdx.x) * (kRowThreads / kWarp) + threadIdx.x / kWarp;
  const int64_t first = task / tiles, c = task % tiles * kWarp + threadIdx.x % kWarp;
  if (first >= tokens || c >= width) return;
  const int64_t id = RowOf(keys[first]);
  if (first > 0 && RowOf(keys[first - 1]) == id) return;
  float* to = dtable + id * width + c;
  float sum = *to;
  for (int64_t k = first; k < tokens;) {
    // Four are fetched at once: a word that occurs often would wait for each.
    float v[4];
    int found = 0;
    for (int j = 0; j < 4; ++j) {
      const bool same = k + j < tokens && RowOf(keys[k + j]) == id;
      const int64_t element = same ? IndexOf(keys[k + j]) * width + c : 0;
      v[j] = same ? dout[element] * rule.Factor(static_cast<uint64_t>(element)) * scale : 0.0f;
      found += same;
    }
    for (int j = 0; j < found; ++j) sum += v[j];
    if (found < 4) break;
    k += found;
  }
  *to = sum;
}

void Scatter(const int32_t* ids, const float* dout, int64_t tokens, int64_t width, float scale, const DropoutRule& rule,
             float* dtable) {
  const SortedRows sorted(ids, tokens);
  const int64_t tasks = tokens * ((width + kWarp - 1) / kWarp);
  Launch({dim3(Blocks(tasks, kRowThreads / kWarp)), dim3(kRowThreads)}, ScatterKernel, tokens, sorted.keys(), dout,
         width, scale, rule, dtable);
}

struct CheckId {
  const char* what;
  int64_t size;
  void operator()(int32_t id, int64_t index) const {
    ATTNKIT_CHECK(id >= 0 && id < size, "[embedding] expected ", what, " in [0, ", size, "), got ", id, " at index ",
                  index);
  }
};

void CheckIds(const int32_t* ids, int64_t tokens, int64_t vocabulary, const int32_t* position_ids,
              int64_t max_positions) {
  if (ids) CheckOnHost(ids, tokens, CheckId{"ids", vocabulary});
  if (position_ids) CheckOnHost(position_ids, tokens, CheckId{"position ids", max_positions});
}
}  // namespace

void EmbeddingForward(const int32_t* ids, int64_t tokens, const float* weight, int64_t vocabulary, int64_t width,
                      float scale, const float* positions, const int32_t* position_ids, int64_t max_positions, float p,
                      PhiloxKey key, float* out, bool inside) {
  if (!inside) CheckIds(ids, tokens, vocabulary, positions ? position_ids : nullptr, max_positions);
  ForEachRow(tokens, width, LookupRow{ids, weight, width, scale, positions, position_ids, DropoutRule(p, key), out});
}

void EmbeddingBackward(const int32_t* ids, const float* dout, int64_t tokens, int64_t vocabulary, int64_t width,
                       float scale, const int32_t* position_ids, int64_t max_positions, float p, PhiloxKey key,
                       float* dweight, float* dpositions, bool inside) {
  if (!inside) {
    CheckIds(dweight ? ids : nullptr, tokens, vocabulary, dpositions ? position_ids : nullptr, max_positions);
  }
  const DropoutRule rule(p, key);
  if (dweight) Scatter(ids, dout, tokens, width, scale, rule, dweight);
  if (dpositions) Scatter(position_ids, dout, tokens, width, 1.0f, rule, dpositions);
}

}  // namespace attnkit::cuda
