// Products of fragments by the tensor cores of a warp: 16 x 16 sums in float32, each over 16 products of bf16. All
// lanes of the warp come to each of these functions together. Compute capability 8.0 and later (HasTensorCores).
#pragma once

#include <cstdint>

#include "cuda/launch.h"

#ifndef __CUDACC__
#include "cuda/emulation/tensor_cores.h"
#endif

namespace attnkit::cuda {

// Kernels that come to these functions have an empty body where there are none.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
constexpr bool kTensorCores = false;
#else
constexpr bool kTensorCores = true;
#endif

constexpr int kFragment = 16;  // vectors of a fragment, and numbers of each

// Sixteen vectors of sixteen numbers: rows of A, or columns of B. Two neighbours of a vector lie in 32 bits; lane 4 g +
// t has those at 2 t (0 and 1) and at 2 t + 8 (2 and 3) of the vectors g (0 and 2) and g + 8 (1 and 3).
struct Fragment {
  unsigned pairs[4];
};

// Of the products of two: number i of a lane is that of vector Row(i) of the first and vector Column(i) of the second.
struct SumFragment {
  float numbers[8];
  static __device__ int Row(int i) { return static_cast<int>(threadIdx.x) % kWarp / 4 + i / 2 % 2 * 8; }
  static __device__ int Column(int i) { return static_cast<int>(threadIdx.x) % 4 * 2 + i % 2 + i / 4 * 8; }
};

// Where this lane's eight numbers begin that all lanes read together: in shared memory, at multiples of 16 bytes.
// Number d of vector v is tile[v * stride + d], or tile[d * stride + v] unless kAlongDepth.
template <bool kAlongDepth>
__device__ const uint16_t* FragmentRow(const uint16_t* tile, int stride) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp, low = lane % 8, middle = lane / 8 % 2 * 8,
            high = lane / 16 * 8;
  return kAlongDepth ? tile + (low + middle) * stride + high : tile + (low + high) * stride + middle;
}

#ifdef __CUDACC__

template <bool kAlongDepth>
__device__ void LoadFragment(const uint16_t* tile, int stride, Fragment& to) {
  const auto at = static_cast<unsigned>(__cvta_generic_to_shared(FragmentRow<kAlongDepth>(tile, stride)));
  if constexpr (kAlongDepth) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to.pairs[0]), "=r"(to.pairs[1]), "=r"(to.pairs[2]), "=r"(to.pairs[3])
                 : "r"(at)
                 : "memory");
  } else {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to.pairs[0]), "=r"(to.pairs[1]), "=r"(to.pairs[2]), "=r"(to.pairs[3])
                 : "r"(at)
                 : "memory");
  }
}

// sums += a · b, the columns of b by eight.
__device__ inline void MultiplyAdd(const Fragment& a, const Fragment& b, SumFragment& sums) {
  ATTNKIT_UNROLL
  for (int half = 0; half < 2; ++half) {
    float* to = sums.numbers + 4 * half;
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(to[0]), "+f"(to[1]), "+f"(to[2]), "+f"(to[3])
        : "r"(a.pairs[0]), "r"(a.pairs[1]), "r"(a.pairs[2]), "r"(a.pairs[3]), "r"(b.pairs[half]),
          "r"(b.pairs[2 + half]));
  }
}

#else  // where the caller is is said of a lane that does not come

template <bool kAlongDepth>
void LoadFragment(const uint16_t* tile, int stride, Fragment& to, const char* file = __builtin_FILE(),
                  int line = __builtin_LINE()) {
  emulation::LoadFragment(FragmentRow<kAlongDepth>(tile, stride), !kAlongDepth, to.pairs, file, line);
}

inline void MultiplyAdd(const Fragment& a, const Fragment& b, SumFragment& sums, const char* file = __builtin_FILE(),
                        int line = __builtin_LINE()) {
  emulation::MultiplyFragments(a.pairs, b.pairs, sums.numbers, file, line);
}

#endif

}  // namespace attnkit::cuda
