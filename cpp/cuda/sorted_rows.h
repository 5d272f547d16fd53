// Rows that occur more than once, with where they occur: sorted by row, and those of one row in the order of their
// places. A sort costs log(count) passes over 8 bytes a row, however often rows repeat; to look for the row's other
// occurrences in each of them would cost count^2, and atomics would lose the order.
#pragma once

#include <cstdint>

#include "cuda/launch.h"
#include "cuda/scratch.h"
#include "cuda/sort.h"

namespace attnkit::cuda {

struct RowKeyBody {
  const int32_t* rows;
  uint64_t* keys;
  __device__ void operator()(int64_t i) const {
    keys[i] = static_cast<uint64_t>(static_cast<uint32_t>(rows[i])) << 32 | static_cast<uint32_t>(i);
  }
};

__device__ inline int64_t RowOf(uint64_t key) { return static_cast<int64_t>(key >> 32); }
__device__ inline int64_t IndexOf(uint64_t key) { return static_cast<int64_t>(key & 0xffffffffu); }

class SortedRows {
 public:
  SortedRows(const int32_t* rows, int64_t count) : keys_(count), other_(count) {
    ForEach(count, RowKeyBody{rows, keys_.data()});
    sorted_ = Sort(keys_.data(), other_.data(), count);
  }
  const uint64_t* keys() const { return sorted_; }  // RowOf and IndexOf of them

 private:
  const Scratch<uint64_t> keys_, other_;
  const uint64_t* sorted_;
};

}  // namespace attnkit::cuda
