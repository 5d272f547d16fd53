#include "cuda/context.h"

#include "cuda/device.h"

namespace attnkit::cuda {

void* CudaContext::Allocate(size_t bytes) const {
  UseDevice(device_);
  return AllocateOnDevice(bytes);
}

void CudaContext::Free(void* block, size_t bytes) const noexcept {
  UseDevice(device_);
  FreeOnDevice(block, bytes);
}

void CudaContext::CopyFromHost(const void* host, size_t bytes, void* to) const {
  UseDevice(device_);
  CopyToDevice(host, bytes, to);
}

void CudaContext::CopyToHost(const void* from, size_t bytes, void* host) const {
  UseDevice(device_);
  cuda::CopyToHost(from, bytes, host);
}

}  // namespace attnkit::cuda
