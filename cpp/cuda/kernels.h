// The kernels of CUDA, a file of them beside each of the CPU's: each has the signature of the CPU's function of its
// name (attnkit/kernels/), and its place in the table of a device (table.cc). All that a file of kernels needs to be
// called: attnkit/kernels.h itself is for the host's compiler alone.
#pragma once

#include "attnkit/kernels/attention.h"
#include "attnkit/kernels/decoding.h"
#include "attnkit/kernels/elementwise.h"
#include "attnkit/kernels/gemm.h"
#include "attnkit/kernels/memory.h"
#include "attnkit/kernels/optimizer.h"
#include "attnkit/kernels/ragged.h"
#include "attnkit/kernels/recurrent.h"
#include "attnkit/kernels/reduce.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/kernels/vision.h"

namespace attnkit::cuda {

// attnkit/kernels/memory.h
decltype(kernels::Fill) Fill;
decltype(kernels::Copy) Copy;
decltype(kernels::CopyRows) CopyRows;
decltype(kernels::CopyStrided) CopyStrided;
decltype(kernels::GatherRows) GatherRows;
decltype(kernels::ScatterRows) ScatterRows;
decltype(kernels::AddToRows) AddToRows;
decltype(kernels::FillRows) FillRows;
decltype(kernels::Widen) Widen;
decltype(kernels::Round) Round;
decltype(kernels::GatherWidened) GatherWidened;
decltype(kernels::Dequantize) Dequantize;
decltype(kernels::GatherBytes) GatherBytes;

// attnkit/kernels/reduce.h
decltype(kernels::Sum) Sum;
decltype(kernels::SumOfSquares) SumOfSquares;
decltype(kernels::AllFinite) AllFinite;
decltype(kernels::CountNan) CountNan;
decltype(kernels::SumTo) SumTo;
decltype(kernels::SumAxis) SumAxis;

// attnkit/kernels/elementwise.h
decltype(kernels::Add) Add;
decltype(kernels::Subtract) Subtract;
decltype(kernels::Multiply) Multiply;
decltype(kernels::Divide) Divide;
decltype(kernels::Axpy) Axpy;
decltype(kernels::Scale) Scale;
decltype(kernels::ScaleBy) ScaleBy;
decltype(kernels::ScaleRows) ScaleRows;
decltype(kernels::UnaryForward) UnaryForward;
decltype(kernels::UnaryBackward) UnaryBackward;
decltype(kernels::ActivationBackward) ActivationBackward;
decltype(kernels::Dropout) Dropout;
decltype(kernels::AddDropout) AddDropout;

// attnkit/kernels/gemm.h
decltype(kernels::PackMatrix) PackMatrix;
decltype(kernels::PackBFloat16) PackBFloat16;
decltype(kernels::PackQuantized) PackQuantized;
decltype(kernels::Gemm) Gemm;
decltype(kernels::MatMul) MatMul;
decltype(kernels::MatMuls) MatMuls;

// attnkit/kernels/rows.h
decltype(kernels::SoftmaxForward) SoftmaxForward;
decltype(kernels::SoftmaxBackward) SoftmaxBackward;
decltype(kernels::LogSoftmaxForward) LogSoftmaxForward;
decltype(kernels::LogSoftmaxBackward) LogSoftmaxBackward;
decltype(kernels::AddDropoutLayerNormForward) AddDropoutLayerNormForward;
decltype(kernels::AddDropoutLayerNormBackward) AddDropoutLayerNormBackward;
decltype(kernels::CrossEntropy) CrossEntropy;
decltype(kernels::EmbeddingForward) EmbeddingForward;
decltype(kernels::EmbeddingBackward) EmbeddingBackward;
decltype(kernels::ColumnSums) ColumnSums;

// attnkit/kernels/attention.h
decltype(kernels::AttentionForward) AttentionForward;
decltype(kernels::SpreadPositionBias) SpreadPositionBias;
decltype(kernels::GatherPositionBias) GatherPositionBias;
decltype(kernels::AttentionBackward) AttentionBackward;

// attnkit/kernels/decoding.h
decltype(kernels::AttendToCache) AttendToCache;
decltype(kernels::AttendToMemory) AttendToMemory;
decltype(kernels::BestTokens) BestTokens;

// attnkit/kernels/optimizer.h
decltype(kernels::AdamStep) AdamStep;
decltype(kernels::MuonStep) MuonStep;

// attnkit/kernels/ragged.h
decltype(kernels::RaggedDots) RaggedDots;
decltype(kernels::RaggedSums) RaggedSums;
decltype(kernels::RaggedTransposedSums) RaggedTransposedSums;
decltype(kernels::RaggedAdditiveScores) RaggedAdditiveScores;
decltype(kernels::RaggedAdditiveBackward) RaggedAdditiveBackward;
decltype(kernels::RaggedSoftmax) RaggedSoftmax;
decltype(kernels::RaggedSoftmaxBackward) RaggedSoftmaxBackward;
decltype(kernels::RaggedGaussian) RaggedGaussian;
decltype(kernels::RaggedGaussianBackward) RaggedGaussianBackward;
decltype(kernels::RaggedChainMarginals) RaggedChainMarginals;
decltype(kernels::RaggedChainBackward) RaggedChainBackward;
decltype(kernels::RaggedArgmax) RaggedArgmax;
decltype(kernels::RaggedSample) RaggedSample;
decltype(kernels::UnitRowsForward) UnitRowsForward;
decltype(kernels::UnitRowsBackward) UnitRowsBackward;

// attnkit/kernels/recurrent.h
decltype(kernels::RecurrentForward) RecurrentForward;
decltype(kernels::RecurrentBackward) RecurrentBackward;
decltype(kernels::PreviousStates) PreviousStates;
decltype(kernels::SsruForward) SsruForward;
decltype(kernels::SsruBackward) SsruBackward;

// attnkit/kernels/vision.h
decltype(kernels::Conv2dForward) Conv2dForward;
decltype(kernels::Conv2dInputGradient) Conv2dInputGradient;
decltype(kernels::Conv2dWeightGradient) Conv2dWeightGradient;
decltype(kernels::WinogradForward) WinogradForward;
decltype(kernels::WinogradInputGradient) WinogradInputGradient;
decltype(kernels::WinogradWeightGradient) WinogradWeightGradient;
decltype(kernels::DepthwiseForward) DepthwiseForward;
decltype(kernels::DepthwiseInputGradient) DepthwiseInputGradient;
decltype(kernels::DepthwiseWeightGradient) DepthwiseWeightGradient;
decltype(kernels::MaxPoolForward) MaxPoolForward;
decltype(kernels::MaxPoolBackward) MaxPoolBackward;
decltype(kernels::AveragePoolForward) AveragePoolForward;
decltype(kernels::AveragePoolBackward) AveragePoolBackward;
decltype(kernels::ColumnMoments) ColumnMoments;
decltype(kernels::MoveTowards) MoveTowards;
decltype(kernels::InverseDeviation) InverseDeviation;
decltype(kernels::BatchNormForward) BatchNormForward;
decltype(kernels::BatchNormBackward) BatchNormBackward;
decltype(kernels::ScaleChannels) ScaleChannels;
decltype(kernels::ScaleChannelsGateGradient) ScaleChannelsGateGradient;
decltype(kernels::AddScaledSequences) AddScaledSequences;

}  // namespace attnkit::cuda
