// The allocator of builds that look for errors of memory: each block is exactly as long as was asked and goes back to
// the system at once, so that AddressSanitizer sees every access beside a block or after its end. New memory is full of
// NaN: what is read before it is written shows in the results.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#include "attnkit/allocator.h"

namespace attnkit {

class ExactAllocator {
 public:
  static constexpr const char* kName = "exact";

  void* Take(size_t bytes) {
    if (bytes > kMostBytes) throw std::bad_alloc();
    void* block = nullptr;
    // Unlike aligned_alloc it takes sizes that are no multiple of the alignment.
    if (posix_memalign(&block, kBlockAlignment, std::max<size_t>(bytes, 1)) != 0) throw std::bad_alloc();
    std::memset(block, kNanByte, bytes);
    Count(static_cast<int64_t>(bytes));
    return block;
  }

  void Give(void* block, size_t bytes) noexcept {
    in_use_.fetch_sub(static_cast<int64_t>(bytes), kRelaxed);
    std::free(block);
  }

  void Trim() {}

  AllocatorStats Stats() const {
    AllocatorStats stats;
    stats.bytes_in_use = in_use_.load(kRelaxed);
    stats.peak_bytes = peak_.load(kRelaxed);
    stats.system_calls = system_calls_.load(kRelaxed);
    return stats;
  }

 private:
  static constexpr int kNanByte = 0xff;  // four of them are a float32 NaN, two a bfloat16 NaN
  // Any stronger order would order the threads that allocate, and so hide their races from ThreadSanitizer.
  static constexpr std::memory_order kRelaxed = std::memory_order_relaxed;

  void Count(int64_t bytes) {
    system_calls_.fetch_add(1, kRelaxed);
    const int64_t in_use = in_use_.fetch_add(bytes, kRelaxed) + bytes;
    int64_t peak = peak_.load(kRelaxed);
    while (peak < in_use && !peak_.compare_exchange_weak(peak, in_use, kRelaxed)) {
    }
  }

  std::atomic<int64_t> in_use_{0}, peak_{0}, system_calls_{0};
};

}  // namespace attnkit
