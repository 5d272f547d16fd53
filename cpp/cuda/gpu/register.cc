#include <mutex>

#include "attnkit/gpus.h"
#include "cuda/context.h"
#include "cuda/table.h"

namespace attnkit {
namespace {

constexpr int32_t kDLCUDA = 2;  // DLPack's

}  // namespace

void RegisterGpus() {
  static std::once_flag once;
  std::call_once(once, [] {
    const int count = static_cast<int>(FindGpus().size());
    for (int device = 0; device < count; ++device) {
      Kernels& kernels = *new Kernels("cuda:" + std::to_string(device));
      cuda::FillTable(kernels, device);
      RegisterContext(*new cuda::CudaContext(kernels, device, kDLCUDA));
    }
  });
}

}  // namespace attnkit
