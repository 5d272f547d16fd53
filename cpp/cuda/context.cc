#include "cuda/context.h"

#include <stdexcept>

#include "cuda/device.h"

namespace attnkit::cuda {

void* CudaContext::Allocate(size_t bytes) const {
  UseDevice(device_);
  return AllocateOnDevice(bytes);
}

void CudaContext::Free(void* block, size_t bytes) const noexcept {
  try {
    UseDevice(device_);
  } catch (const std::runtime_error&) {
    return;  // the process ends, and the driver is gone with its memory
  }
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

void CudaContext::Wait() const {
  UseDevice(device_);
  WaitForDevice();
}

int64_t CudaContext::stream() const {
  UseDevice(device_);
  return StreamOfDevice();
}

void CudaContext::LetWait(int64_t stream) const {
  UseDevice(device_);
  LetStreamWait(stream);
}

}  // namespace attnkit::cuda
