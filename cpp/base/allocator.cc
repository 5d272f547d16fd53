#include "attnkit/allocator.h"

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
Allocator& allocator = *new Allocator;

}  // namespace

const char* AllocatorName() { return Allocator::kName; }
void* Allocate(size_t bytes) { return allocator.Take(bytes); }
void Free(void* block, size_t bytes) noexcept { allocator.Give(block, bytes); }
void TrimCache() { allocator.Trim(); }
AllocatorStats GetAllocatorStats() { return allocator.Stats(); }

}  // namespace attnkit
