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

void PutGemm([[maybe_unused]] Kernels& k, [[maybe_unused]] int device) {
}

void PutRows([[maybe_unused]] Kernels& k, [[maybe_unused]] int device) {
}

void PutAttention([[maybe_unused]] Kernels& k, [[maybe_unused]] int device) {
}

void PutDecoding([[maybe_unused]] Kernels& k, [[maybe_unused]] int device) {
}

void PutOptimizer([[maybe_unused]] Kernels& k, [[maybe_unused]] int device) {
}

void PutRagged(Kernels& k, int device) {
  Put<&RaggedDots>(k.RaggedDots, device);
  Put<&RaggedSums>(k.RaggedSums, device);
  Put<&RaggedTransposedSums>(k.RaggedTransposedSums, device);
  Put<&RaggedAdditiveScores>(k.RaggedAdditiveScores, device);
  Put<&RaggedAdditiveBackward>(k.RaggedAdditiveBackward, device);
  Put<&RaggedSoftmax>(k.RaggedSoftmax, device);
  Put<&RaggedSoftmaxBackward>(k.RaggedSoftmaxBackward, device);
  Put<&RaggedGaussian>(k.RaggedGaussian, device);
  Put<&RaggedGaussianBackward>(k.RaggedGaussianBackward, device);
  Put<&RaggedChainMarginals>(k.RaggedChainMarginals, device);
  Put<&RaggedChainBackward>(k.RaggedChainBackward, device);
  Put<&RaggedArgmax>(k.RaggedArgmax, device);
  Put<&RaggedSample>(k.RaggedSample, device);
  Put<&UnitRowsForward>(k.UnitRowsForward, device);
  Put<&UnitRowsBackward>(k.UnitRowsBackward, device);
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
