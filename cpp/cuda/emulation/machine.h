// Running the blocks of an emulated grid: one after the other, the threads of a block a fiber each.
#pragma once

#include <cstdint>

namespace attnkit::emulation {

// Blocks, warps and lanes run in an order that follows from the seed and from how many kernels the thread of the host
// has run since: what depends on it is a race. 0: as they are counted.
void SetSeed(uint64_t seed);

// What the device was asked for since the process began.
struct Asked {
  int64_t launches, copies_to_host;
};
Asked AskedOfDevice();

}  // namespace attnkit::emulation
