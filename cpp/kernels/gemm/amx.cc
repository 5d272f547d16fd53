// bf16 products on the tiles of AMX.
#include "kernels/gemm/amx_tiles.h"

#if defined(__x86_64__)
#include "kernels/gemm/bf16_words.h"

HWY_PUSH_ATTRIBUTES("amx-tile,amx-bf16,amx-int8")
namespace attnkit::kernels::gemm {
namespace hardware {
#include "kernels/gemm/amx_kernel.inc"
}  // namespace hardware
}  // namespace attnkit::kernels::gemm
HWY_POP_ATTRIBUTES

namespace attnkit::kernels::gemm {

const Kernel& AmxKernel() {
  using namespace hardware;
  static constexpr Kernel kKernel = {kAmxRows,
                                     kAmxPanel,
                                     kTileWords,
                                     kTileWords,
                                     kAmxDepthBlock,
                                     2,
                                     false,
                                     &AmxRow<HardwareTiles>,
                                     &PackWordsA,
                                     &PackWordsB,
                                     &AmxBegin<HardwareTiles>,
                                     &AmxEnd<HardwareTiles>};
  return kKernel;
}

}  // namespace attnkit::kernels::gemm
#endif  // __x86_64__
