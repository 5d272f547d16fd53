#include "cuda/emulation/context.h"

#include "cuda/context.h"
#include "cuda/table.h"

namespace attnkit::cuda {

const Context& Emulated() {
  static const Context& emulated = []() -> const Context& {
    Kernels& kernels = *new Kernels("cuda-emulated");
    FillTable(kernels, 0);
    const Context* made = new CudaContext(kernels, 0);
    RegisterContext(*made);
    return *made;
  }();
  return emulated;
}

}  // namespace attnkit::cuda
