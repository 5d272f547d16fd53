// Of a build without CUDA; one with it has cpp/cuda/gpu/find.cu in this place.
#include "attnkit/gpus.h"

namespace attnkit {

bool BuiltWithCuda() { return false; }

std::vector<Gpu> FindGpus(std::string* why) {
  if (why) *why = "this build of attnkit has no CUDA kernels";
  return {};
}

void RegisterGpus() {}

}  // namespace attnkit
