// Starting a kernel on the current device, in the order of its stream.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "cuda/device.h"
#include "cuda/runtime.h"

namespace attnkit::cuda {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

// Blocks of a grid and threads of a block: a block is whole warps in x. `shared` bytes of dynamic shared memory a block
// (DynamicShared).
struct LaunchShape {
  dim3 grid, block;
  size_t shared = 0;
};

#ifdef __CUDACC__
cudaStream_t Stream();  // of the current device
// Throws std::runtime_error with CUDA's words, and what was launched.
void CheckLaunch();
#endif

// Launch({blocks, threads}, Kernel, arguments...). An empty grid does nothing.
template <typename... Parameters, typename... Arguments>
void Launch(const LaunchShape& shape, void (*kernel)(Parameters...), const Arguments&... arguments) {
  if (shape.grid.x == 0 || shape.grid.y == 0 || shape.grid.z == 0) return;
#ifdef __CUDACC__
  kernel<<<shape.grid, shape.block, shape.shared, Stream()>>>(static_cast<Parameters>(arguments)...);
  CheckLaunch();
#else
  // A struct by value too: whatever word of it is an address.
  (emulation::CheckAddresses(arguments, __PRETTY_FUNCTION__), ...);
  emulation::Run(shape.grid, shape.block, shape.shared, [&] { kernel(static_cast<Parameters>(arguments)...); });
#endif
}

inline unsigned Blocks(int64_t work, int64_t of_a_block) {
  return static_cast<unsigned>((work + of_a_block - 1) / of_a_block);
}

// body(i) for every i of [0, size), in no order: what one number needs reads and writes nothing of another's.
template <typename Body>
__global__ void ForEachKernel(int64_t size, Body body) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < size; i += step) body(i);
}

template <typename Body>
void ForEach(int64_t size, Body body) {
  constexpr int64_t kThreads = 256, kMostBlocks = 1 << 16;
  Launch({dim3(static_cast<unsigned>(std::min<int64_t>(Blocks(size, kThreads), kMostBlocks))), dim3(kThreads)},
         ForEachKernel<Body>, size, body);
}

}  // namespace attnkit::cuda
