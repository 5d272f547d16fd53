// int8 products by the dot product of AVX512-VNNI: 64 multiply-adds an instruction.
#include "kernels/gemm/int8_vnni.h"

#if defined(__x86_64__)
#include <algorithm>
#include <array>
#include <utility>

HWY_PUSH_ATTRIBUTES(ATTNKIT_TARGET_VNNI)
namespace attnkit::kernels::gemm {
namespace vnni {
#include "kernels/gemm/int8_tile.inc"
}  // namespace vnni
}  // namespace attnkit::kernels::gemm
HWY_POP_ATTRIBUTES

namespace attnkit::kernels::gemm {
namespace {

template <class Ops>
constexpr Int8Kernel MakeVnniKernel() {
  return {Ops::kRows, Ops::kVectors * Ops::kLanes, Ops::kLanes, Ops::kWordUnit, Int8Rows::kUnsigned, nullptr,
          0,          &vnni::Int8TileRow<Ops>,     nullptr,     nullptr};
}

}  // namespace

const Int8Kernel& VnniInt8Kernel() {
  static constexpr Int8Kernel kKernel = MakeVnniKernel<VnniOps<3>>();
  return kKernel;
}

const Int8Kernel& NarrowVnniInt8Kernel() {
  static constexpr Int8Kernel kKernel = MakeVnniKernel<VnniOps<2>>();
  return kKernel;
}

}  // namespace attnkit::kernels::gemm
#endif  // __x86_64__
