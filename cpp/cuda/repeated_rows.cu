// ScatterRows and AddToRows of attnkit/kernels/memory.h on CUDA, whose rows may occur more than once.
//
// The order of i is kept by a sort of keys of (row, i): those of one row then stand together in their order, and one
// thread for each of its columns takes them all. A sort costs log(count) passes over 8 bytes a row, however often rows
// repeat; to look for the row's other occurrences in each of them would cost count^2, and atomics would lose the order.
#include "cuda/for_rows.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"
#include "cuda/sort.h"

namespace attnkit::cuda {
namespace {

struct KeyBody {
  const int32_t* rows;
  uint64_t* keys;
  __device__ void operator()(int64_t i) const {
    keys[i] = static_cast<uint64_t>(static_cast<uint32_t>(rows[i])) << 32 | static_cast<uint32_t>(i);
  }
};

__device__ int64_t RowOf(uint64_t key) { return static_cast<int64_t>(key >> 32); }
__device__ int64_t IndexOf(uint64_t key) { return static_cast<int64_t>(key & 0xffffffffu); }

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
  const Scratch<uint64_t> keys(count), other(count);
  ForEach(count, KeyBody{rows, keys.data()});
  const uint64_t* sorted = Sort(keys.data(), other.data(), count);
  ForRows(count, columns, Body{x, sorted, count, columns, out});
}
}  // namespace

void ScatterRows(const float* x, const int32_t* rows, int64_t count, int64_t columns, float* out) {
  ForSortedRows<LastBody>(x, rows, count, columns, out);
}

void AddToRows(const float* x, const int32_t* rows, int64_t count, int64_t columns, float* out) {
  ForSortedRows<AddBody>(x, rows, count, columns, out);
}

}  // namespace attnkit::cuda
