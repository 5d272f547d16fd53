// The allocator of ordinary builds (attnkit/allocator.h says what it is for).
#pragma once

#include <algorithm>
#include <array>
#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "attnkit/allocator.h"
#include "base/block_heap.h"
#include "base/fork_safe_mutex.h"

namespace attnkit {

class CachingAllocator {
 public:
  static constexpr const char* kName = "caching";

  void* Take(size_t bytes) {
    if (bytes > kMostBytes) throw std::bad_alloc();
    std::lock_guard<ForkSafeMutex> lock(mutex_);
    size_t taken = 0;
    void* block = bytes > kSmallBytes ? TakeLarge(bytes, &taken) : TakeSmall(bytes, &taken);
    stats_.bytes_in_use += taken;
    stats_.peak_bytes = std::max(stats_.peak_bytes, stats_.bytes_in_use);
    return block;
  }

  void Give(void* block, size_t bytes) noexcept {
    std::lock_guard<ForkSafeMutex> lock(mutex_);
    if (bytes > kSmallBytes) {
      stats_.bytes_in_use -= BlockHeap::BytesOf(block);
      heap_.Give(block);
      return;
    }
    const SizeClass size = ClassOf(bytes);
    stats_.bytes_in_use -= size.bytes;
    try {
      free_[size.index].push_back(block);
      bytes_free_ += size.bytes;
    } catch (const std::bad_alloc&) {
      std::free(block);
    }
  }

  void Trim() {
    std::lock_guard<ForkSafeMutex> lock(mutex_);
    TrimLocked();
#ifdef __GLIBC__
    malloc_trim(0);  // else free blocks stay with the process until they are the last of their heap
#endif
  }

  AllocatorStats Stats() {
    std::lock_guard<ForkSafeMutex> lock(mutex_);
    AllocatorStats stats = stats_;
    stats.bytes_cached = static_cast<int64_t>(bytes_free_ + heap_.bytes_dirty());
    return stats;
  }

 private:
  // A step of decoding asks for dozens of blocks up to this size, always the same ones: they have their lists.
  static constexpr size_t kSmallBytes = size_t{1} << 15;
  static constexpr int kSteps = 4;  // size classes between two powers of two: at most a fifth of a block is unused
  static constexpr int kSmallestLog2 = 8;  // 256 bytes
  static constexpr int kClasses = (15 - kSmallestLog2) * kSteps + 1;

  struct SizeClass {
    int index;
    size_t bytes;
  };

  static SizeClass ClassOf(size_t bytes) {
    if (bytes <= (size_t{1} << kSmallestLog2)) return {0, size_t{1} << kSmallestLog2};
    const int log2 = 63 - __builtin_clzll(bytes - 1);  // 2^log2 < bytes <= 2^(log2 + 1)
    const size_t step = (size_t{1} << log2) / kSteps;
    const size_t count = (bytes - (size_t{1} << log2) + step - 1) / step;  // 1 .. kSteps
    return {(log2 - kSmallestLog2) * kSteps + static_cast<int>(count), (size_t{1} << log2) + count * step};
  }

  void* TakeSmall(size_t bytes, size_t* taken) {
    const SizeClass size = ClassOf(bytes);
    *taken = size.bytes;
    std::vector<void*>& free_blocks = free_[size.index];
    if (free_blocks.empty()) return FromSystem(size.bytes);
    void* block = free_blocks.back();
    free_blocks.pop_back();
    bytes_free_ -= size.bytes;
    return block;
  }

  void* FromSystem(size_t bytes) {
    ++stats_.system_calls;
    void* block = std::aligned_alloc(kBlockAlignment, bytes);
    if (!block) {
      TrimLocked();
      block = std::aligned_alloc(kBlockAlignment, bytes);
    }
    if (!block) throw std::bad_alloc();
    return block;
  }

  void* TakeLarge(size_t bytes, size_t* taken) {
    void* block = heap_.Take(bytes);
    if (!block) {
      ++stats_.system_calls;
      if (!heap_.Grow(bytes)) {
        TrimLocked();
        if (!heap_.Grow(bytes)) throw std::bad_alloc();
      }
      block = heap_.Take(bytes);
    }
    *taken = BlockHeap::BytesOf(block);
    return block;
  }

  void TrimLocked() {
    for (std::vector<void*>& blocks : free_) {
      for (void* block : blocks) std::free(block);
      blocks.clear();
    }
    bytes_free_ = 0;
    heap_.Trim();
  }

  ForkSafeMutex mutex_;
  std::array<std::vector<void*>, kClasses> free_;
  BlockHeap heap_;
  size_t bytes_free_ = 0;  // in free_
  AllocatorStats stats_;
};

}  // namespace attnkit
