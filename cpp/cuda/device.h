// The device whose kernels run: its memory, its stream, and how the slots of its table come to it.
#pragma once

#include <cstddef>
#include <type_traits>

#include "attnkit/kernels/kernel.h"
#include "cuda/runtime.h"

namespace attnkit::cuda {

constexpr int kMostDevices = 8;  // of a machine

// The device of this thread, which everything below and every launch means. A kernel of a table says it first (Put).
void UseDevice(int device);
int CurrentDevice();  // the one that was said last
// Do kernels that were compiled for tensor cores of bf16 run on it (cuda/tensor_cores.h)?
bool HasTensorCores();

// Memory of the device, aligned to 256 bytes at least, contents undefined; given back in the order of the stream, so
// that what was launched before still has it. Throws OutOfMemory.
void* AllocateOnDevice(size_t bytes);
void FreeOnDevice(void* block, size_t bytes) noexcept;
// The host's memory may change when it returns.
void CopyToDevice(const void* host, size_t bytes, void* device);
// Waits for what was asked of the stream before.
void CopyToHost(const void* device, size_t bytes, void* host);

// A slot's function for each device: it says the device, then runs.
template <auto kRun>
struct OnDevice;
template <typename Result, typename... Arguments, Result (*kRun)(Arguments...)>
struct OnDevice<kRun> {
  using Function = Result (*)(Arguments...);
  template <int kDevice>
  static Result Run(Arguments... arguments) {
    UseDevice(kDevice);
    return kRun(arguments...);
  }
  static Function Of(int device) {
    static constexpr Function kFunctions[kMostDevices] = {&Run<0>, &Run<1>, &Run<2>, &Run<3>,
                                                          &Run<4>, &Run<5>, &Run<6>, &Run<7>};
    return kFunctions[device];
  }
};

// Put<&Softmax>(kernels.SoftmaxForward, device): the slot's function, of the signature of the CPU's.
template <auto kRun, auto kCpu>
void Put(kernels::Kernel<kCpu>& slot, int device) {
  static_assert(std::is_same_v<decltype(kRun), decltype(kCpu)>, "a slot has the signature of the CPU's function");
  slot = OnDevice<kRun>::Of(device);
}

}  // namespace attnkit::cuda
