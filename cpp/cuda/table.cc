#include "cuda/table.h"

#include "cuda/device.h"
#include "cuda/kernels.h"

namespace attnkit::cuda {
namespace {

void PutMemory(Kernels& k, int device) {
  Put<&Fill>(k.Fill, device);
  Put<&Copy>(k.Copy, device);
  Put<&CopyRows>(k.CopyRows, device);
  Put<&CopyStrided>(k.CopyStrided, device);
  Put<&GatherRows>(k.GatherRows, device);
  Put<&ScatterRows>(k.ScatterRows, device);
  Put<&AddToRows>(k.AddToRows, device);
  Put<&FillRows>(k.FillRows, device);
  Put<&Widen>(k.Widen, device);
  Put<&Round>(k.Round, device);
  Put<&GatherWidened>(k.GatherWidened, device);
  Put<&Dequantize>(k.Dequantize, device);
  Put<&GatherBytes>(k.GatherBytes, device);
}

void PutReduce(Kernels& k, int device) {
  Put<&Sum>(k.Sum, device);
  Put<&SumOfSquares>(k.SumOfSquares, device);
  Put<&AllFinite>(k.AllFinite, device);
  Put<&CountNan>(k.CountNan, device);
  Put<&SumTo>(k.SumTo, device);
  Put<&SumAxis>(k.SumAxis, device);
}

void PutElementwise(Kernels& k, int device) {
  Put<&Add>(k.Add, device);
  Put<&Subtract>(k.Subtract, device);
  Put<&Multiply>(k.Multiply, device);
  Put<&Divide>(k.Divide, device);
  Put<&Axpy>(k.Axpy, device);
  Put<&Scale>(k.Scale, device);
  Put<&ScaleBy>(k.ScaleBy, device);
  Put<&ScaleRows>(k.ScaleRows, device);
  Put<&UnaryForward>(k.UnaryForward, device);
  Put<&UnaryBackward>(k.UnaryBackward, device);
  Put<&ActivationBackward>(k.ActivationBackward, device);
  Put<&Dropout>(k.Dropout, device);
  Put<&AddDropout>(k.AddDropout, device);
}

void PutGemm(Kernels& k, int device) {
  Put<&PackMatrix>(k.PackMatrix, device);
  Put<&PackBFloat16>(k.PackBFloat16, device);
  Put<&PackQuantized>(k.PackQuantized, device);
  Put<&Gemm>(k.Gemm, device);
  Put<&MatMul>(k.MatMul, device);
  Put<&MatMuls>(k.MatMuls, device);
}

void PutRows(Kernels& k, int device) {
  Put<&SoftmaxForward>(k.SoftmaxForward, device);
  Put<&SoftmaxBackward>(k.SoftmaxBackward, device);
  Put<&LogSoftmaxForward>(k.LogSoftmaxForward, device);
  Put<&LogSoftmaxBackward>(k.LogSoftmaxBackward, device);
  Put<&AddDropoutLayerNormForward>(k.AddDropoutLayerNormForward, device);
  Put<&AddDropoutLayerNormBackward>(k.AddDropoutLayerNormBackward, device);
  Put<&CrossEntropy>(k.CrossEntropy, device);
  Put<&EmbeddingForward>(k.EmbeddingForward, device);
  Put<&EmbeddingBackward>(k.EmbeddingBackward, device);
  Put<&ColumnSums>(k.ColumnSums, device);
}

void PutAttention(Kernels& k, int device) {
  Put<&AttentionForward>(k.AttentionForward, device);
  Put<&AttentionBackward>(k.AttentionBackward, device);
  Put<&SpreadPositionBias>(k.SpreadPositionBias, device);
  Put<&GatherPositionBias>(k.GatherPositionBias, device);
}

void PutDecoding(Kernels& k, int device) {
  Put<&BestTokens>(k.BestTokens, device);
  Put<&AttendToCache>(k.AttendToCache, device);
  Put<&AttendToMemory>(k.AttendToMemory, device);
}

void PutOptimizer(Kernels& k, int device) {
  Put<&AdamStep>(k.AdamStep, device);
  Put<&MuonStep>(k.MuonStep, device);
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

void PutRecurrent(Kernels& k, int device) {
  Put<&RecurrentForward>(k.RecurrentForward, device);
  Put<&RecurrentBackward>(k.RecurrentBackward, device);
  Put<&PreviousStates>(k.PreviousStates, device);
  Put<&SsruForward>(k.SsruForward, device);
  Put<&SsruBackward>(k.SsruBackward, device);
}

void PutVision(Kernels& k, int device) {
  Put<&Conv2dForward>(k.Conv2dForward, device);
  Put<&WinogradForward>(k.WinogradForward, device);
  Put<&WinogradInputGradient>(k.WinogradInputGradient, device);
  Put<&WinogradWeightGradient>(k.WinogradWeightGradient, device);
  Put<&Conv2dInputGradient>(k.Conv2dInputGradient, device);
  Put<&Conv2dWeightGradient>(k.Conv2dWeightGradient, device);
  Put<&DepthwiseForward>(k.DepthwiseForward, device);
  Put<&DepthwiseInputGradient>(k.DepthwiseInputGradient, device);
  Put<&DepthwiseWeightGradient>(k.DepthwiseWeightGradient, device);
  Put<&MaxPoolForward>(k.MaxPoolForward, device);
  Put<&MaxPoolBackward>(k.MaxPoolBackward, device);
  Put<&AveragePoolForward>(k.AveragePoolForward, device);
  Put<&AveragePoolBackward>(k.AveragePoolBackward, device);
  Put<&ColumnMoments>(k.ColumnMoments, device);
  Put<&MoveTowards>(k.MoveTowards, device);
  Put<&InverseDeviation>(k.InverseDeviation, device);
  Put<&BatchNormForward>(k.BatchNormForward, device);
  Put<&BatchNormBackward>(k.BatchNormBackward, device);
  Put<&ScaleChannels>(k.ScaleChannels, device);
  Put<&ScaleChannelsGateGradient>(k.ScaleChannelsGateGradient, device);
  Put<&AddScaledSequences>(k.AddScaledSequences, device);
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
