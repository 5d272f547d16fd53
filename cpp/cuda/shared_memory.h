// The dynamic shared memory of a block (LaunchShape::shared), as an array of T.
#pragma once

#include "cuda/runtime.h"

namespace attnkit::cuda {

template <typename T>
__device__ T* DynamicShared() {
#ifdef __CUDACC__
  extern __shared__ __align__(16) unsigned char attnkit_dynamic_shared[];
  return reinterpret_cast<T*>(attnkit_dynamic_shared);
#else
  return static_cast<T*>(emulation::here->shared);
#endif
}

}  // namespace attnkit::cuda
