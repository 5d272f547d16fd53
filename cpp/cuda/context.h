// A CUDA device as tensors know it.
#pragma once

#include "attnkit/context.h"

namespace attnkit::cuda {

class CudaContext final : public Context {
 public:
  // kernels: its table (FillTable). device: its number on this machine. kind: DLPack's (DeviceId).
  CudaContext(const Kernels& kernels, int device, int32_t kind) : Context(kernels), device_(device), kind_(kind) {}

  void* Allocate(size_t bytes) const override;
  void Free(void* block, size_t bytes) const noexcept override;
  void CopyFromHost(const void* host, size_t bytes, void* to) const override;
  void CopyToHost(const void* from, size_t bytes, void* host) const override;
  void Wait() const override;
  std::optional<DeviceId> id() const override { return DeviceId{kind_, device_}; }
  int64_t stream() const override;
  void LetWait(int64_t stream) const override;

 private:
  int device_;
  int32_t kind_;
};

}  // namespace attnkit::cuda
