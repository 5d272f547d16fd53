// int8 products on the tiles of AMX; a few rows would leave them empty and take VNNI on the same panels.
#include "kernels/gemm/amx_tiles.h"

#if defined(__x86_64__)
#include <array>
#include <utility>

#include "kernels/gemm/int8_vnni.h"

HWY_PUSH_ATTRIBUTES("amx-tile,amx-bf16,amx-int8," ATTNKIT_TARGET_VNNI)
namespace attnkit::kernels::gemm {
namespace int8_hardware {
#include "kernels/gemm/amx_kernel.inc"
#include "kernels/gemm/int8_amx.inc"
}  // namespace int8_hardware
}  // namespace attnkit::kernels::gemm
HWY_POP_ATTRIBUTES

namespace attnkit::kernels::gemm {

const Int8Kernel& AmxInt8Kernel() {
  using namespace int8_hardware;
  constexpr int64_t kThinRows = 4;  // VNNI reads B at the pace of memory; a tile of A would be mostly empty
  static const Int8Kernel kKernel = {kAmxRows,
                                     kAmxPanel,
                                     kTileWords,
                                     kTileWords,
                                     Int8Rows::kSigned,
                                     &NarrowVnniInt8Kernel(),
                                     kThinRows,
                                     &Int8AmxRow<HardwareTiles, VnniOps<2>>,
                                     &AmxBegin<ByteTiles<HardwareTiles>>,
                                     &AmxEnd<HardwareTiles>};
  return kKernel;
}

}  // namespace attnkit::kernels::gemm
#endif  // __x86_64__
