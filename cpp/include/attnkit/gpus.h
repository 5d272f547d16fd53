// The GPUs of this machine, where the build has kernels for them (ATTNKIT_CUDA).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace attnkit {

bool BuiltWithCuda();

struct Gpu {
  std::string name, capability;  // compute capability: "8.6"
  int64_t memory = 0;            // bytes
  std::string driver, runtime;   // the versions of CUDA that the driver knows and that this build has: "12.4"
};

// As they are numbered. Where there are none, `why` says why in a few words: no driver, one that is too old, no CUDA in
// this build.
std::vector<Gpu> FindGpus(std::string* why = nullptr);

// Makes the contexts of those of FindGpus known as "cuda:0", "cuda:1" and so on; once.
void RegisterGpus();

}  // namespace attnkit
