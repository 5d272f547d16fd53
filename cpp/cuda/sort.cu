#include "cuda/sort.h"

#include "cuda/launch.h"

namespace attnkit::cuda {
namespace {

constexpr int kRun = 1024;  // keys that a block sorts

// A bitonic network (Batcher, 1968) in shared memory; keys behind the end are the largest.
__global__ void SortRuns(int64_t size, uint64_t* keys) {
  __shared__ uint64_t run[kRun];
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kRun;
  const int thread = static_cast<int>(threadIdx.x), threads = kRun / 2;
  for (int i = thread; i < kRun; i += threads) run[i] = first + i < size ? keys[first + i] : ~uint64_t{0};
  for (int length = 2; length <= kRun; length *= 2) {
    for (int distance = length / 2; distance > 0; distance /= 2) {
      __syncthreads();
      const int low = thread / distance * 2 * distance + thread % distance, high = low + distance;
      const bool rising = (low & length) == 0;
      const uint64_t a = run[low], b = run[high];
      if ((a > b) == rising) {
        run[low] = b;
        run[high] = a;
      }
    }
  }
  __syncthreads();
  for (int i = thread; i < kRun; i += threads) {
    if (first + i < size) keys[first + i] = run[i];
  }
}

// A key goes as far behind the start of its pair of runs as there are smaller keys in both.
struct MergeBody {
  const uint64_t* keys;
  int64_t size, length;
  uint64_t* to;
  __device__ void operator()(int64_t i) const {
    const int64_t pair = i / (2 * length) * (2 * length), middle = pair + length < size ? pair + length : size;
    const int64_t end = middle + length < size ? middle + length : size;
    const bool left = i < middle;
    const int64_t begin = left ? middle : pair;
    int64_t low = begin, high = left ? end : middle;
    while (low < high) {
      const int64_t at = low + (high - low) / 2;
      if (keys[at] < keys[i]) {
        low = at + 1;
      } else {
        high = at;
      }
    }
    to[(left ? i : pair + (i - middle)) + (low - begin)] = keys[i];
  }
};
}  // namespace

uint64_t* Sort(uint64_t* keys, uint64_t* other, int64_t size) {
  Launch({dim3(Blocks(size, kRun)), dim3(kRun / 2)}, SortRuns, size, keys);
  for (int64_t length = kRun; length < size; length *= 2) {
    ForEach(size, MergeBody{keys, size, length, other});
    uint64_t* merged = other;
    other = keys;
    keys = merged;
  }
  return keys;
}

}  // namespace attnkit::cuda
