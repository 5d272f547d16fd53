#include "cuda/emulation/faulty.h"

#include <stdexcept>

#include "cuda/launch.h"
#include "cuda/scratch.h"
#include "cuda/shared_memory.h"
#include "cuda/tensor_cores.h"

namespace attnkit::cuda {
namespace {

__device__ int Number() { return static_cast<int>(threadIdx.x); }

__global__ void SkippedBarrier(int*) {
  if (Number() < kWarp) __syncthreads();
}
__global__ void TwoBarriers(int*) {
  if (Number() < kWarp) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}
__global__ void SkippedShuffle(int* out) {
  if (Number() % kWarp < 31) *out = __shfl_sync(kAllLanes, Number(), 0);
}
__global__ void TwoShuffles(int* out) {
  if (Number() % kWarp < 31) {
    *out = __shfl_sync(kAllLanes, Number(), 0);
  } else {
    *out = __shfl_sync(kAllLanes, Number(), 1);
  }
}
__global__ void BarrierForShuffle(int* out) {
  if (Number() % kWarp < 31) {
    *out = __shfl_sync(kAllLanes, Number(), 0);
  } else {
    __syncthreads();
  }
}
__global__ void SkippedFragment(int*) {
  alignas(16) __shared__ uint16_t tile[kFragment * kFragment];
  Fragment fragment;
  if (Number() % kWarp < 31) LoadFragment<true>(tile, kFragment, fragment);
}
__global__ void TwoProducts(int*) {
  const Fragment fragment{};
  SumFragment sums{};
  if (Number() % kWarp < 31) {
    MultiplyAdd(fragment, fragment, sums);
  } else {
    MultiplyAdd(fragment, fragment, sums);
  }
}
__global__ void CrookedFragment(int*) {
  alignas(16) __shared__ uint16_t tile[kFragment * (kFragment + 4)];
  Fragment fragment;
  LoadFragment<false>(tile, kFragment + 4, fragment);
}
__global__ void HalfMask(int* out) { *out = __shfl_sync(0xffffu, Number(), 0); }
__global__ void Nothing(int*) {}
__global__ void LaunchesAnother(int* out) { Launch({dim3(1), dim3(kWarp)}, Nothing, out); }
__global__ void LongSharedMemory(int*) { DynamicShared<float>()[16 + Number()] = 1.0f; }
__global__ void VotesThenFails(int* out) {
  if (Number() > 0) *out = __syncthreads_count(true);
}
// Right: how many vote. It says whether a kernel that failed before has left anything.
__global__ void Votes(int* out) {
  const int votes = __syncthreads_count(Number() % 2 == 0);
  if (Number() == 0) *out = votes;
}
// Who comes last is left.
__global__ void Race(int* out) { *out = Number(); }

struct Faulty {
  const char* name;
  void (*kernel)(int*);
  dim3 grid, block;
  size_t shared;
};
const Faulty kFaulty[] = {
    {"skipped barrier", SkippedBarrier, 1, 64, 0},
    {"two barriers", TwoBarriers, 1, 64, 0},
    {"skipped shuffle", SkippedShuffle, 1, 32, 0},
    {"two shuffles", TwoShuffles, 1, 32, 0},
    {"barrier for shuffle", BarrierForShuffle, 1, 32, 0},
    {"skipped fragment", SkippedFragment, 1, 32, 0},
    {"two products", TwoProducts, 1, 32, 0},
    {"crooked fragment", CrookedFragment, 1, 32, 0},
    {"half mask", HalfMask, 1, 32, 0},
    {"half a warp", Nothing, 1, 48, 0},
    {"no threads", Nothing, 1, 0, 0},
    {"many threads", Nothing, 1, 1056, 0},
    {"flat block", Nothing, 1, dim3(32, 2), 0},
    {"much shared memory", Nothing, 1, 32, (48 << 10) + 4},
    {"tall grid", Nothing, dim3(1, 65536), 32, 0},
    {"launch", LaunchesAnother, 1, 32, 0},
    {"memory of the host", Nothing, 1, 32, 0},
    {"long shared memory", LongSharedMemory, 1, 32, 64},
    {"votes, then fails", VotesThenFails, 1, 64, 0},
    {"votes", Votes, 1, 64, 0},
    {"race", Race, 1, 64, 0},
};

}  // namespace

int RunFaultyKernel(const std::string& name) {
  for (const Faulty& faulty : kFaulty) {
    if (name != faulty.name) continue;
    int written = -1;
    const Scratch<int> out(1);
    CopyToDevice(&written, sizeof written, out.data());
    int* const given = name == "memory of the host" ? &written : out.data();
    Launch({faulty.grid, faulty.block, faulty.shared}, faulty.kernel, given);
    CopyToHost(out.data(), sizeof written, &written);
    return written;
  }
  throw std::invalid_argument("there is no faulty kernel \"" + name + "\"");
}

}  // namespace attnkit::cuda
