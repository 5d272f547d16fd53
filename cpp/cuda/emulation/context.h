// The device "cuda-emulated": the kernels of CUDA, run by the CPU (cuda/emulation/runtime.h). For tests.
#pragma once

#include "attnkit/context.h"

namespace attnkit::cuda {

const Context& Emulated();  // known by its name from the first call on

}  // namespace attnkit::cuda
