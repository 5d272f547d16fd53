#include "attnkit/allocator.h"

#include <pthread.h>

#ifdef ATTNKIT_EXACT_ALLOCATIONS
#include "base/exact_allocator.h"
using Allocator = attnkit::ExactAllocator;
#else
#include "base/caching_allocator.h"
using Allocator = attnkit::CachingAllocator;
#endif

namespace attnkit {
namespace {

// Never destroyed: tensors held by Python may be freed after static destructors ran.
Allocator& TheAllocator() {
  static Allocator* allocator = new Allocator;
  [[maybe_unused]] static const int registered =
      pthread_atfork([] { allocator->Lock(); }, [] { allocator->Unlock(); }, [] { allocator->Unlock(); });
  return *allocator;
}

}  // namespace

const char* AllocatorName() { return Allocator::kName; }
void* Allocate(size_t bytes) { return TheAllocator().Take(bytes); }
void Free(void* block, size_t bytes) noexcept { TheAllocator().Give(block, bytes); }
void TrimCache() { TheAllocator().Trim(); }
AllocatorStats GetAllocatorStats() { return TheAllocator().Stats(); }

}  // namespace attnkit
