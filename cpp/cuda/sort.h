// Keys that are all different, put in order: the result is the same whatever sorts them.
#pragma once

#include <cstdint>

#include "cuda/scratch.h"

namespace attnkit::cuda {

// Returns the sorted keys, in `keys` or in `other`, both overwritten.
uint64_t* Sort(uint64_t* keys, uint64_t* other, int64_t size);

}  // namespace attnkit::cuda
