// What kernels are written against: CUDA, or its emulation on the CPU (cuda/emulation/runtime.h).
#pragma once

#ifdef __CUDACC__
#include <cuda_runtime.h>
#else
#include "cuda/emulation/runtime.h"
#endif

// Before a loop of few rounds, whose number is known: all of them one after the other, so that arrays stay in
// registers.
#ifdef __CUDACC__
#define ATTNKIT_UNROLL _Pragma("unroll")
#else
#define ATTNKIT_UNROLL _Pragma("GCC unroll 16")
#endif
