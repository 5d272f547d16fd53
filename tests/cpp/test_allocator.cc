// The allocator that this build has, the caching one or the exact one.
#include "attnkit/allocator.h"

#include <cstdint>
#include <string>

#include "support.h"

namespace attnkit {
namespace {

const bool kExact = std::string(AllocatorName()) == "exact";

TEST_CASE("allocator: blocks are aligned, and may be written from end to end") {
  for (const size_t bytes : {0, 1, 63, 64, 65, 255, 256, 257, 4095, 100000}) {
    CAPTURE(bytes);
    void* block = Allocate(bytes);
    CHECK(reinterpret_cast<uintptr_t>(block) % kBlockAlignment == 0);
    std::memset(block, 1, bytes);
    Free(block, bytes);
  }
}

TEST_CASE("allocator: what is handed out is counted") {
  const AllocatorStats before = GetAllocatorStats();
  {
    const Buffer<float> buffer(1000);
    const AllocatorStats during = GetAllocatorStats();
    const int64_t taken = during.bytes_in_use - before.bytes_in_use;
    CHECK(taken >= 4000);
    CHECK(taken <= (kExact ? 4000 : 5000));
    CHECK(during.peak_bytes >= during.bytes_in_use);
  }
  CHECK(GetAllocatorStats().bytes_in_use == before.bytes_in_use);
}

TEST_CASE("allocator: a freed block is kept until the cache is trimmed" * doctest::skip(kExact)) {
  TrimCache();
  void* first = Allocate(5000);
  Free(first, 5000);
  CHECK(GetAllocatorStats().bytes_cached >= 5000);
  const int64_t calls = GetAllocatorStats().system_calls;
  void* second = Allocate(4999);  // of the same size class
  CHECK(second == first);
  CHECK(GetAllocatorStats().system_calls == calls);
  Free(second, 4999);
  TrimCache();
  CHECK(GetAllocatorStats().bytes_cached == 0);
}

TEST_CASE("allocator: the exact one keeps nothing, and its memory is NaN" * doctest::skip(!kExact)) {
  const int64_t calls = GetAllocatorStats().system_calls;
  for (int round = 0; round < 2; ++round) {
    Buffer<float> buffer(100);
    for (float& number : buffer) {
      CHECK(std::isnan(number));
      number = 1.0f;
    }
  }
  CHECK(GetAllocatorStats().system_calls == calls + 2);
  CHECK(GetAllocatorStats().bytes_cached == 0);
}

TEST_CASE("allocator: more than there is throws bad_alloc") {
  CHECK_THROWS_AS(Allocate(kMostBytes + 1), std::bad_alloc);
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

TEST_CASE("allocator: a block may be freed by another thread") {
  const int64_t before = GetAllocatorStats().bytes_in_use;
  constexpr int kThreads = 4, kBlocks = 50;
  std::vector<std::vector<Buffer<float>>> made(kThreads);
  testing::InThreads(kThreads, [&](int t) {
    for (int i = 1; i <= kBlocks; ++i) {
      made[t].emplace_back(37 * i);
      for (float& number : made[t].back()) number = static_cast<float>(t);
    }
  });
  testing::InThreads(kThreads, [&](int t) {
    std::vector<Buffer<float>>& others = made[(t + 1) % kThreads];
    for (const Buffer<float>& buffer : others) {
      if (buffer[buffer.size() - 1] != static_cast<float>((t + 1) % kThreads)) throw std::runtime_error("overwritten");
    }
    others.clear();
    TrimCache();
  });
  CHECK(GetAllocatorStats().bytes_in_use == before);
}

}  // namespace
}  // namespace attnkit
