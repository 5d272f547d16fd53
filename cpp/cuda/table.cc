#include "cuda/table.h"

#include "cuda/device.h"
#include "cuda/kernels.h"

namespace attnkit::cuda {
namespace {

void PutMemory([[maybe_unused]] Kernels& k, [[maybe_unused]] int device) {
  Put<&Fill>(k.Fill, device);
}

void PutReduce([[maybe_unused]] Kernels& k, [[maybe_unused]] int device) {
  Put<&Sum>(k.Sum, device);
}

void PutElementwise([[maybe_unused]] Kernels& k, [[maybe_unused]] int device) {
  Put<&Add>(k.Add, device);
}

void PutGemm(Kernels& k, int device) {
  Put<&PackMatrix>(k.PackMatrix, device);
  Put<&PackBFloat16>(k.PackBFloat16, device);
  Put<&PackQuantized>(k.PackQuantized, device);
  Put<&Gemm>(k.Gemm, device);
  Put<&MatMul>(k.MatMul, device);
}

void PutRows([[maybe_unused]] Kernels& k, [[maybe_unused]] int device) {
}

void PutAttention([[maybe_unused]] Kernels& k, [[maybe_unused]] int device) {
}

void PutDecoding([[maybe_unused]] Kernels& k, [[maybe_unused]] int device) {
}

void PutOptimizer([[maybe_unused]] Kernels& k, [[maybe_unused]] int device) {
}

void PutRagged([[maybe_unused]] Kernels& k, [[maybe_unused]] int device) {
}

void PutRecurrent([[maybe_unused]] Kernels& k, [[maybe_unused]] int device) {
}

void PutVision([[maybe_unused]] Kernels& k, [[maybe_unused]] int device) {
}

}  // namespace

void FillTable(Kernels& k, int device) {
  PutMemory(k, device);
  PutReduce(k, device);
  PutElementwise(k, device);
  PutGemm(k, device);
  PutRows(k, device);
  PutAttention(k, device);
  PutDecoding(k, device);
  PutOptimizer(k, device);
  PutRagged(k, device);
  PutRecurrent(k, device);
  PutVision(k, device);
}

}  // namespace attnkit::cuda
