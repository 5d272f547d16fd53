// A CUDA device as tensors know it.
#pragma once

#include "attnkit/context.h"

namespace attnkit::cuda {

class CudaContext final : public Context {
 public:
  // kernels: its table (FillTable). device: its number on this machine.
  CudaContext(const Kernels& kernels, int device) : Context(kernels), device_(device) {}

  void* Allocate(size_t bytes) const override;
  void Free(void* block, size_t bytes) const noexcept override;
  void CopyFromHost(const void* host, size_t bytes, void* to) const override;
  void CopyToHost(const void* from, size_t bytes, void* host) const override;

 private:
  int device_;
};

}  // namespace attnkit::cuda
