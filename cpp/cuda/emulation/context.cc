#include "cuda/emulation/context.h"

#include "cuda/context.h"
#include "cuda/table.h"

namespace attnkit::cuda {

namespace {

// DLPack's kDLExtDev: no library but the tests shall take this memory for that of a GPU.
constexpr int32_t kOfItsOwn = 12;

}  // namespace

const Context& Emulated() {
  static const Context& emulated = []() -> const Context& {
    Kernels& kernels = *new Kernels("cuda-emulated");
    FillTable(kernels, 0);
    const Context* made = new CudaContext(kernels, 0, kOfItsOwn);
    RegisterContext(*made);
    return *made;
  }();
  return emulated;
}

}  // namespace attnkit::cuda
