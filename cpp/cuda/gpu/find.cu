#include "attnkit/gpus.h"

#include <algorithm>

#include "cuda/device.h"

namespace attnkit {
namespace {

std::string Version(int number) { return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10); }

}  // namespace

bool BuiltWithCuda() { return true; }

std::vector<Gpu> FindGpus(std::string* why) {
  int count = 0, driver = 0, runtime = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) {
    cudaGetLastError();
    // Without a driver, too, CUDA says that its version is insufficient.
    const bool driven = cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0;
    if (why) *why = driven ? cudaGetErrorString(error) : "this machine has no driver of NVIDIA's";
    return {};
  }
  if (count == 0 && why) *why = "this machine has none";
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  std::vector<Gpu> gpus;
  for (int i = 0; i < std::min(count, cuda::kMostDevices); ++i) {
    cudaDeviceProp properties;
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) continue;
    gpus.push_back({properties.name, std::to_string(properties.major) + "." + std::to_string(properties.minor),
                    static_cast<int64_t>(properties.totalGlobalMem), Version(driver), Version(runtime)});
  }
  return gpus;
}

}  // namespace attnkit
