// Running the blocks of an emulated grid: one after the other, the threads of a block a fiber each.
#pragma once

#include <cstdint>

namespace attnkit::emulation {

// Blocks, warps and lanes run in an order that follows from the seed and from how many kernels the thread of the host
// has run since: what depends on it is a race. 0: as they are counted.
void SetSeed(uint64_t seed);

}  // namespace attnkit::emulation
