// CUDA's language as far as the kernels use it, for the CPU's compiler: the same sources run where there is no GPU, one
// block after the other, in an order that a seed shuffles (machine.h).
//
// Blocks are whole warps; shuffles and votes are of all lanes. What a GPU would leave undefined is an error here: a
// barrier that some threads of a block do not reach, or reach at another line; a shuffle that a lane does not come to.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __shared__ static thread_local  // of the block that this thread of the host runs

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};

namespace attnkit::emulation {

// Of the thread of a kernel that runs.
struct Here {
  dim3 thread, block, block_size, grid_size;
  void* shared;  // the block's dynamic shared memory
};
inline thread_local const Here* here = nullptr;

// Throws std::logic_error where an argument of a kernel holds an address of the host's memory (emulation/device.cc).
void CheckWords(const void* argument, size_t bytes, const char* launch);
template <typename T>
void CheckAddresses(T argument, const char* launch) {
#if defined(__GNUC__) && !defined(__clang__)
  if constexpr (alignof(T) < alignof(void*))
    return;                            // it holds no address, though two of its numbers may look like one
  __builtin_clear_padding(&argument);  // where anything may be left
  CheckWords(&argument, sizeof argument, launch);
#endif
}
// body() for every thread of every block. Throws std::logic_error for a barrier that is not met.
void Run(dim3 grid, dim3 block, size_t shared, const std::function<void()>& body);
int64_t Launches();  // how often since the process began

void SyncThreads(const char* file, int line);
int SyncThreadsCount(bool predicate, const char* file, int line);  // how many threads said yes
void SyncWarp(unsigned mask, const char* file, int line);
// What a lane offers to the others of its warp.
struct OfferedWords {
  uint64_t words[4];
};
// Those of all 32 lanes, when all have come, until this lane offers again.
const OfferedWords* Offer(unsigned mask, const uint64_t* words, int count, const char* file, int line);
// `bits` of lane `lane` of the warp, when all lanes have come.
uint64_t Exchange(unsigned mask, uint64_t bits, int lane, const char* file, int line);
unsigned Ballot(unsigned mask, bool predicate, const char* file, int line);
int Lane();  // of its warp

template <typename T>
T Shuffle(unsigned mask, T value, int lane, const char* file, int line) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = Exchange(mask, bits, lane, file, line);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

template <typename T>
T AtomicAdd(T* to, T value) {
  if constexpr (std::is_integral_v<T>) {
    return __atomic_fetch_add(to, value, __ATOMIC_RELAXED);
  } else {
    T before, after;
    __atomic_load(to, &before, __ATOMIC_RELAXED);
    do after = before + value;
    while (!__atomic_compare_exchange(to, &before, &after, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return before;
  }
}

}  // namespace attnkit::emulation

#define threadIdx (::attnkit::emulation::here->thread)
#define blockIdx (::attnkit::emulation::here->block)
#define blockDim (::attnkit::emulation::here->block_size)
#define gridDim (::attnkit::emulation::here->grid_size)

#define __syncthreads() ::attnkit::emulation::SyncThreads(__FILE__, __LINE__)
#define __syncthreads_count(predicate) ::attnkit::emulation::SyncThreadsCount(predicate, __FILE__, __LINE__)
#define __syncthreads_or(predicate) (__syncthreads_count(predicate) > 0)
#define __syncwarp() ::attnkit::emulation::SyncWarp(0xffffffffu, __FILE__, __LINE__)
#define __shfl_sync(mask, value, lane) ::attnkit::emulation::Shuffle(mask, value, lane, __FILE__, __LINE__)
#define __shfl_xor_sync(mask, value, lanes) \
  ::attnkit::emulation::Shuffle(mask, value, ::attnkit::emulation::Lane() ^ (lanes), __FILE__, __LINE__)
// Behind the warp's end a lane gets its own, as on a GPU.
#define __shfl_down_sync(mask, value, delta)                                                 \
  ::attnkit::emulation::Shuffle(mask, value,                                                 \
                                ::attnkit::emulation::Lane() + (delta) < 32                  \
                                    ? ::attnkit::emulation::Lane() + static_cast<int>(delta) \
                                    : ::attnkit::emulation::Lane(),                          \
                                __FILE__, __LINE__)
#define __shfl_up_sync(mask, value, delta)                                                   \
  ::attnkit::emulation::Shuffle(mask, value,                                                 \
                                ::attnkit::emulation::Lane() >= static_cast<int>(delta)      \
                                    ? ::attnkit::emulation::Lane() - static_cast<int>(delta) \
                                    : ::attnkit::emulation::Lane(),                          \
                                __FILE__, __LINE__)
#define __ballot_sync(mask, predicate) ::attnkit::emulation::Ballot(mask, predicate, __FILE__, __LINE__)
#define __any_sync(mask, predicate) (__ballot_sync(mask, predicate) != 0)
#define __all_sync(mask, predicate) (__ballot_sync(mask, predicate) == 0xffffffffu)

template <typename T>
T atomicAdd(T* to, T value) {
  return ::attnkit::emulation::AtomicAdd(to, value);
}
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __float_as_int(float value) {
  int bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}
inline float __int_as_float(int bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
inline unsigned __float_as_uint(float value) { return static_cast<unsigned>(__float_as_int(value)); }
inline float __uint_as_float(unsigned bits) { return __int_as_float(static_cast<int>(bits)); }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float normcdff(float x) { return static_cast<float>(0.5 * erfc(x * -0.70710678118654752440)); }
// Four products of bytes.
inline int __dp4a(int a, int b, int sum) {
  for (int shift = 0; shift < 32; shift += 8) sum += static_cast<int8_t>(a >> shift) * static_cast<int8_t>(b >> shift);
  return sum;
}
