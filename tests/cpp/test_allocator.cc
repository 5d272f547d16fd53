// Both allocators, whichever of them this build has for its tensors, and Buffer, which takes its memory from that.
#include "attnkit/allocator.h"

#include <algorithm>
#include <cstdint>
#include <new>
#include <random>
#include <stdexcept>
#include <vector>

#include "base/caching_allocator.h"
#include "base/exact_allocator.h"
#include "support.h"

namespace attnkit {
namespace {

TEST_CASE_TEMPLATE("allocator: blocks are aligned, and may be written from end to end", T, CachingAllocator,
                   ExactAllocator) {
  T allocator;
  for (const size_t bytes : {0, 1, 63, 64, 65, 255, 256, 257, 4095, 100000}) {
    CAPTURE(bytes);
    void* block = allocator.Take(bytes);
    CHECK(reinterpret_cast<uintptr_t>(block) % kBlockAlignment == 0);
    std::memset(block, 1, bytes);
    allocator.Give(block, bytes);
  }
  allocator.Trim();
  CHECK(allocator.Stats().bytes_in_use == 0);
  CHECK(allocator.Stats().bytes_cached == 0);
  CHECK(allocator.Stats().peak_bytes >= 100000);
}

TEST_CASE_TEMPLATE("allocator: more than there is throws bad_alloc", T, CachingAllocator, ExactAllocator) {
  T allocator;
  CHECK_THROWS_AS(allocator.Take(kMostBytes + 1), std::bad_alloc);
  CHECK(allocator.Stats().bytes_in_use == 0);
}

TEST_CASE("allocator: a freed block is kept until the cache is trimmed") {
  CachingAllocator allocator;
  void* first = allocator.Take(5000);
  CHECK(allocator.Stats().bytes_in_use >= 5000);
  CHECK(allocator.Stats().bytes_in_use <= 6250);
  allocator.Give(first, 5000);
  CHECK(allocator.Stats().bytes_cached >= 5000);
  void* second = allocator.Take(4999);  // of the same size class
  CHECK(second == first);
  CHECK(allocator.Stats().bytes_cached == 0);
  CHECK(allocator.Stats().system_calls == 1);
  allocator.Give(second, 4999);
  allocator.Trim();
  CHECK(allocator.Stats().bytes_cached == 0);
}

TEST_CASE("allocator: large blocks that are free side by side become one") {
  CachingAllocator allocator;
  constexpr size_t kBytes = 100000;
  void* blocks[3];
  for (void*& block : blocks) block = allocator.Take(kBytes);
  for (const int i : {0, 2, 1}) allocator.Give(blocks[i], kBytes);
  void* all = allocator.Take(3 * kBytes);
  CHECK(all == blocks[0]);
  CHECK(allocator.Stats().system_calls == 1);
  CHECK(allocator.Stats().bytes_cached < 20000);
  allocator.Give(all, 3 * kBytes);
  allocator.Trim();
}

// A block of a test, full of one byte of its own.
struct Filled {
  unsigned char* data;
  size_t bytes;
  unsigned char byte;

  Filled(CachingAllocator& allocator, size_t size, int number)
      : data(static_cast<unsigned char*>(allocator.Take(size))), bytes(size), byte(number) {
    std::memset(data, byte, bytes);
  }
  bool IsWhole() const {
    return std::all_of(data, data + bytes, [this](unsigned char c) { return c == byte; });
  }
};

TEST_CASE("allocator: work that asks for ever other sizes holds little more than it uses") {
  CachingAllocator allocator;
  std::mt19937 random(1);
  std::vector<Filled> blocks;
  bool whole = true;
  int64_t most = 0;
  for (int i = 0; i < 4000; ++i) {
    if (blocks.size() == 12) {
      std::swap(blocks[random() % blocks.size()], blocks.back());
      whole = whole && blocks.back().IsWhole();
      allocator.Give(blocks.back().data, blocks.back().bytes);
      blocks.pop_back();
    }
    blocks.emplace_back(allocator, 1 + (size_t{1} << (random() % 4 + 17)) * (random() % 1000) / 1000, i);
    if (i == 2000) allocator.Trim();  // leaves alone what is in use
    const AllocatorStats stats = allocator.Stats();
    most = std::max(most, stats.bytes_in_use + stats.bytes_cached);
  }
  for (const Filled& block : blocks) {
    whole = whole && block.IsWhole();
    allocator.Give(block.data, block.bytes);
  }
  CHECK(whole);
  CHECK(most < 2 * allocator.Stats().peak_bytes);
  CHECK(allocator.Stats().bytes_in_use == 0);
  CHECK(allocator.Stats().system_calls < 200);
  allocator.Trim();
  CHECK(allocator.Stats().bytes_cached == 0);
}

TEST_CASE("allocator: the exact one rounds nothing up and keeps nothing, and its memory is NaN") {
  ExactAllocator allocator;
  for (int round = 1; round <= 2; ++round) {
    auto* numbers = static_cast<float*>(allocator.Take(101 * sizeof(float)));
    CHECK(allocator.Stats().bytes_in_use == 101 * sizeof(float));
    CHECK(allocator.Stats().system_calls == round);
    for (int i = 0; i < 101; ++i) {
      CHECK(std::isnan(numbers[i]));
      numbers[i] = 1.0f;
    }
    allocator.Give(numbers, 101 * sizeof(float));
    CHECK(allocator.Stats().bytes_cached == 0);
  }
}

TEST_CASE_TEMPLATE("allocator: threads take blocks, and others give them back", T, CachingAllocator, ExactAllocator) {
  constexpr int kThreads = 4, kBlocks = 100;
  T allocator;
  const auto size_of = [](int i) { return sizeof(int) * (1 + 37 * i); };
  std::vector<std::vector<int*>> taken(kThreads);
  testing::InThreads(kThreads, [&](int t) {
    for (int i = 0; i < kBlocks; ++i) {
      taken[t].push_back(static_cast<int*>(allocator.Take(size_of(i))));
      *taken[t].back() = t;
      if (i % 10 == 9) {  // its memory may be another thread's at once
        allocator.Give(taken[t].back(), size_of(i));
        taken[t].back() = static_cast<int*>(allocator.Take(size_of(i)));
        *taken[t].back() = t;
      }
    }
  });
  testing::InThreads(kThreads, [&](int t) {
    const int other = (t + 1) % kThreads;
    for (int i = 0; i < kBlocks; ++i) {
      if (*taken[other][i] != other) throw std::runtime_error("two threads have one block");
      allocator.Give(taken[other][i], size_of(i));
    }
    allocator.Trim();
  });
  allocator.Trim();
  CHECK(allocator.Stats().bytes_in_use == 0);
}

TEST_CASE("allocator: what tensors and buffers hold is counted") {
  const int64_t before = GetAllocatorStats().bytes_in_use;
  {
    const Buffer<float> buffer(1000);
    CHECK(GetAllocatorStats().bytes_in_use >= before + 4000);
    CHECK(GetAllocatorStats().peak_bytes >= GetAllocatorStats().bytes_in_use);
  }
  CHECK(GetAllocatorStats().bytes_in_use == before);
}

TEST_CASE("allocator: an array whose size does not fit is refused") {
  CHECK_THROWS_AS(AllocateArray<float>(int64_t{1} << 62), std::bad_alloc);
  CHECK_THROWS_AS(AllocateArray<float>(-1), std::bad_alloc);
}

TEST_CASE("buffer: moves, never copies") {
  Buffer<int> first(3);
  int* data = first.data();
  Buffer<int> second(std::move(first));
  CHECK(second.data() == data);
  CHECK(second.size() == 3);
  Buffer<int> third;
  CHECK(third.data() == nullptr);
  third = std::move(second);
  CHECK(third.data() == data);
}

}  // namespace
}  // namespace attnkit
