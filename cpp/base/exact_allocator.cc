// What stands in for the caching allocator in a build that looks for errors of memory: each block is exactly as long as
// was asked and goes back to the system at once, so that AddressSanitizer sees every access beside a block or after its
// end. New memory is full of NaN: what is read before it is written shows in the results.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#include "attnkit/allocator.h"

namespace attnkit {
namespace {

constexpr int kNanByte = 0xff;  // four of them are a float32 NaN, two a bfloat16 NaN

struct Counters {
  std::atomic<int64_t> in_use{0}, peak{0}, system_calls{0};
};
Counters counters;

void CountTaken(int64_t bytes) {
  ++counters.system_calls;
  const int64_t in_use = counters.in_use += bytes;
  int64_t peak = counters.peak;
  while (peak < in_use && !counters.peak.compare_exchange_weak(peak, in_use)) {
  }
}

}  // namespace

const char* AllocatorName() { return "exact"; }

void* Allocate(size_t bytes) {
  if (bytes > kMostBytes) throw std::bad_alloc();
  void* block = nullptr;
  // Unlike aligned_alloc it takes sizes that are no multiple of the alignment.
  if (posix_memalign(&block, kBlockAlignment, std::max<size_t>(bytes, 1)) != 0) throw std::bad_alloc();
  std::memset(block, kNanByte, bytes);
  CountTaken(static_cast<int64_t>(bytes));
  return block;
}

void Free(void* block, size_t bytes) noexcept {
  counters.in_use -= static_cast<int64_t>(bytes);
  std::free(block);
}

void TrimCache() {}

AllocatorStats GetAllocatorStats() {
  AllocatorStats stats;
  stats.bytes_in_use = counters.in_use;
  stats.peak_bytes = counters.peak;
  stats.system_calls = counters.system_calls;
  return stats;
}

}  // namespace attnkit
