// A second device for tests, "host2": the CPU's kernels under another name. Its memory has addresses that nobody but
// these kernels can read, so a loop of the host over a tensor's numbers, or memory of the wrong device, ends a test at
// once, as it would on a GPU.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attnkit/context.h"

namespace attnkit {

const Context& Host2();  // known by its name from the first call on
int64_t Host2Blocks();   // of its memory, in use

}  // namespace attnkit
