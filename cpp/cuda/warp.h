// Sums and maxima over the threads of a warp and of a block, always in the same order: the same bytes each time.
#pragma once

#include <cstdint>

#include "cuda/launch.h"

namespace attnkit::cuda {

struct PlusOp {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct MaximumOp {
  template <typename T>
  __device__ T operator()(T a, T b) const {
    return a < b ? b : a;
  }
};

// Over a warp, all of whose lanes come here; each gets the result.
template <typename T, typename Op>
__device__ T WarpReduce(T value, Op op) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2)
    value = op(value, __shfl_xor_sync(kAllLanes, value, distance));
  return value;
}

// Over a block of whole warps in x alone, all of whose threads come here; each gets the result. `room` is shared memory
// of kWarp values, free again behind the barrier that ends this.
template <typename T, typename Op>
__device__ T BlockReduce(T value, T identity, Op op, T* room) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  value = WarpReduce(value, op);
  if (lane == 0) room[warp] = value;
  __syncthreads();
  value = WarpReduce(lane < warps ? room[lane] : identity, op);
  __syncthreads();
  return value;
}

template <typename T>
__device__ T WarpSum(T value) {
  return WarpReduce(value, PlusOp());
}
template <typename T>
__device__ T WarpMaximum(T value) {
  return WarpReduce(value, MaximumOp());
}
template <typename T>
__device__ T BlockSum(T value, T* room) {
  return BlockReduce(value, T(0), PlusOp(), room);
}
// Of numbers that are not NaN.
__device__ inline float BlockMaximum(float value, float* room) {
  return BlockReduce(value, -INFINITY, MaximumOp(), room);
}

}  // namespace attnkit::cuda
