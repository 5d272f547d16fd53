// ScatterRows and AddToRows of attnkit/kernels/memory.h on CUDA, whose rows may occur more than once.
//
// One thread for each of a row's columns takes all its occurrences, in their order.
#include "cuda/for_rows.h"
#include "cuda/kernels.h"
#include "cuda/sorted_rows.h"

namespace attnkit::cuda {
namespace {

struct AddBody {
  const float* x;
  const uint64_t* keys;
  int64_t count, columns;
  float* out;
  // Where the keys of a row begin.
  __device__ void operator()(int64_t place, int64_t c) const {
    const int64_t row = RowOf(keys[place]);
    if (place > 0 && RowOf(keys[place - 1]) == row) return;
    float sum = out[row * columns + c];
    for (int64_t k = place; k < count;) {
      // Four are fetched at once: a row that occurs often would wait for each.
      float v[4];
      int found = 0;
      for (int j = 0; j < 4; ++j) {
        const uint64_t key = k + j < count ? keys[k + j] : ~uint64_t{0};
        const bool same = RowOf(key) == row;
        found += same;
        v[j] = same ? x[IndexOf(key) * columns + c] : 0.0f;
      }
      for (int j = 0; j < found; ++j) sum += v[j];
      k += found;
      if (found < 4) break;
    }
    out[row * columns + c] = sum;
  }
};

struct LastBody {
  const float* x;
  const uint64_t* keys;
  int64_t count, columns;
  float* out;
  // Where the keys of a row end: what was written last stays.
  __device__ void operator()(int64_t place, int64_t c) const {
    const uint64_t key = keys[place];
    if (place + 1 < count && RowOf(keys[place + 1]) == RowOf(key)) return;
    out[RowOf(key) * columns + c] = x[IndexOf(key) * columns + c];
  }
};

template <typename Body>
void ForSortedRows(const float* x, const int32_t* rows, int64_t count, int64_t columns, float* out) {
  if (count == 0 || columns == 0) return;
  const SortedRows sorted(rows, count);
  ForRows(count, columns, Body{x, sorted.keys(), count, columns, out});
}
}  // namespace

void ScatterRows(const float* x, const int32_t* rows, int64_t count, int64_t columns, float* out) {
  ForSortedRows<LastBody>(x, rows, count, columns, out);
}

void AddToRows(const float* x, const int32_t* rows, int64_t count, int64_t columns, float* out) {
  ForSortedRows<AddBody>(x, rows, count, columns, out);
}

}  // namespace attnkit::cuda
