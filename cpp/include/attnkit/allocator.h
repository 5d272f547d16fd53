// A caching allocator: freed blocks are kept, cut, joined and handed out again, so that after the first step training
// touches no fresh page. Blocks are 64-byte aligned and may be freed by any thread.
//
// A build with ATTNKIT_EXACT_ALLOCATIONS, for sanitizers, keeps nothing and rounds nothing up
// (cpp/base/exact_allocator.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace attnkit {

constexpr size_t kBlockAlignment = 64;
constexpr size_t kMostBytes = size_t{1} << 46;  // what no machine has: more is refused before it is asked of the system

// Which of the two this build has: "caching" or "exact".
const char* AllocatorName();

// Throws std::bad_alloc. Contents are undefined.
void* Allocate(size_t bytes);
void Free(void* block, size_t bytes) noexcept;
// Room for `count` of T, where count * sizeof(T) may not fit: throws std::bad_alloc.
template <typename T>
T* AllocateArray(int64_t count) {
  constexpr int64_t kMost = kMostBytes / sizeof(T);
  if (count < 0 || count > kMost) throw std::bad_alloc();
  return static_cast<T*>(Allocate(count * sizeof(T)));
}
// Gives the cached blocks back to the system.
void TrimCache();

struct AllocatorStats {
  int64_t bytes_in_use = 0;  // handed out now
  int64_t bytes_cached = 0;  // free, kept
  int64_t peak_bytes = 0;    // largest bytes_in_use so far
  int64_t system_calls = 0;  // how many times memory was asked of the system
};
AllocatorStats GetAllocatorStats();

// An owned array of T, uninitialised.
template <typename T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t size) : size_(size), data_(size ? AllocateArray<T>(size) : nullptr) {}
  Buffer(Buffer&& other) noexcept : size_(std::exchange(other.size_, 0)), data_(std::exchange(other.data_, nullptr)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(size_, other.size_);
    std::swap(data_, other.data_);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    if (data_) Free(data_, size_ * sizeof(T));
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  int64_t size() const { return size_; }
  T& operator[](int64_t i) { return data_[i]; }
  const T& operator[](int64_t i) const { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }

 private:
  int64_t size_ = 0;
  T* data_ = nullptr;
};

}  // namespace attnkit
