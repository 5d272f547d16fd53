#include "attnkit/precision.h"

#include "attnkit/check.h"

namespace attnkit {
namespace {

thread_local kernels::Precision matmul_precision = kernels::Precision::kFloat32;

}  // namespace

kernels::Precision MatmulPrecision() { return matmul_precision; }
kernels::Precision WeightPrecision(bool recorded) {
  ATTNKIT_CHECK(!recorded || matmul_precision != kernels::Precision::kInt8,
                "[precision] expected fp32 or bf16 where gradients are wanted, got int8, which is for inference");
  return matmul_precision;
}
kernels::Precision ActivationPrecision() {
  return matmul_precision == kernels::Precision::kInt8 ? kernels::Precision::kFloat32 : matmul_precision;
}
void SetMatmulPrecision(kernels::Precision precision) { matmul_precision = precision; }

}  // namespace attnkit
