#include <algorithm>
#include <array>
#include <utility>

#include "kernels/gemm/int8_portable.h"

namespace attnkit::kernels::gemm {
namespace portable {
#include "kernels/gemm/int8_tile.inc"
}  // namespace portable

const Int8Kernel& PortableInt8Kernel() {
  using Ops = PortableOps;
  static constexpr Int8Kernel kKernel = {
      Ops::kRows, Ops::kVectors * Ops::kLanes, Ops::kLanes, Ops::kWordUnit, Int8Rows::kSigned, nullptr,
      0,          &portable::Int8TileRow<Ops>, nullptr,     nullptr};
  return kKernel;
}

}  // namespace attnkit::kernels::gemm
