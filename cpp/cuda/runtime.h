// What kernels are written against: CUDA, or its emulation on the CPU (cuda/emulation/runtime.h).
#pragma once

#ifdef __CUDACC__
#include <cuda_runtime.h>
#else
#include "cuda/emulation/runtime.h"
#endif
