// The emulated device: its memory is the host's, and what is launched is done at once.
#include "cuda/device.h"

#include <cstring>

#include "attnkit/allocator.h"

namespace attnkit::cuda {

void UseDevice(int) {}
int CurrentDevice() { return 0; }

void* AllocateOnDevice(size_t bytes) {
  if (bytes > kMostBytes) throw std::bad_alloc();
  void* block = ::operator new (bytes ? bytes : 1, std::align_val_t{256});
  std::memset(block, 0xff, bytes);  // NaN, as fresh memory of a device may hold
  return block;
}

void FreeOnDevice(void* block, size_t) noexcept { ::operator delete (block, std::align_val_t{256}); }

void CopyToDevice(const void* host, size_t bytes, void* device) {
  if (bytes) std::memcpy(device, host, bytes);
}

void CopyToHost(const void* device, size_t bytes, void* host) {
  if (bytes) std::memcpy(host, device, bytes);
}

}  // namespace attnkit::cuda
