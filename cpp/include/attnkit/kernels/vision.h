// Kernels on images: convolution, pooling, batch norm. Images are [batch, rows, columns, channels]: a pixel is a row of
// channels, so that everything for rows (linear layers, norms, sums, attention) applies to pixels as it is. Each gives
// the same bytes for any number of threads.
#pragma once

#include <cstdint>
#include <vector>

#include "attnkit/kernels/gemm.h"
#include "attnkit/kernels/kernel.h"

namespace attnkit::kernels {

// One axis of an image and the window that slides over it. Behind the edges lie `padding` zeros (for a maximum:
// nothing).
struct WindowAxis {
  int64_t size = 0, kernel = 1, stride = 1, padding = 0;
  int64_t outputs() const { return (size + 2 * padding - kernel) / stride + 1; }
};

// Convolution without a kernel flip, as everywhere in deep learning:
//   y[b, oy, ox, o] = sum over ky, kx, c of x[b, oy * stride + ky - padding, ox * stride + kx - padding, c]
//                     * weight[o, ky, kx, c]
// With groups, output channels [g * O, (g + 1) * O) see input channels [g * C, (g + 1) * C) alone.
struct Conv2dShape {
  int64_t batch = 0;
  WindowAxis rows, columns;
  int64_t channels = 0, out_channels = 0, groups = 1;

  int64_t group_channels() const { return channels / groups; }
  int64_t group_outputs() const { return out_channels / groups; }
  int64_t depth() const { return rows.kernel * columns.kernel * group_channels(); }  // numbers that make an output
  int64_t pixels() const { return batch * rows.outputs() * columns.outputs(); }
  // One filter a channel: too thin for a matrix product.
  bool depthwise() const { return groups == channels && groups == out_channels && groups > 1; }
};

// What Conv2dForward had better multiply in where `wanted` is asked for: windows of an odd number of channels are no
// words of bf16 and would have to be copied out; float32 reads them where they lie.
Precision Conv2dForwardPrecision(const Conv2dShape& shape, Precision wanted);
// y [batch, out rows, out columns, out_channels]. `weights` are the filters of each group, packed: PackMatrix(filters,
// depth, group_outputs, 1, depth). Not for depthwise shapes.
void Conv2dForward(const Conv2dShape& shape, const float* x, const std::vector<const PackedMatrix*>& weights,
                   Precision precision, float* y, const Epilogue& epilogue);
void Conv2dInputGradient(const Conv2dShape& shape, const float* dy, const float* weight, Precision precision,
                         float* dx);
void Conv2dWeightGradient(const Conv2dShape& shape, const float* x, const float* dy, Precision precision,
                          float* dweight);

// Does minimal filtering pay? Of one group, 3 x 3 and stride 1, in float32, with enough channels and outputs: depends
// on neither the batch nor the machine.
bool SuitsWinograd(const Conv2dShape& shape, Precision precision);
// The same three for the shapes that it suits.
void WinogradForward(const Conv2dShape& shape, const float* x, const float* weight, const Epilogue& epilogue, float* y);
void WinogradInputGradient(const Conv2dShape& shape, const float* dy, const float* weight, float* dx);
void WinogradWeightGradient(const Conv2dShape& shape, const float* x, const float* dy, float* dweight);

// Depthwise shapes, always in float32: weight [channels, kernel rows, kernel columns].
void DepthwiseForward(const Conv2dShape& shape, const float* x, const float* weight, const Epilogue& epilogue,
                      float* y);
void DepthwiseInputGradient(const Conv2dShape& shape, const float* dy, const float* weight, float* dx);
void DepthwiseWeightGradient(const Conv2dShape& shape, const float* x, const float* dy, float* dweight);

struct PoolShape {
  int64_t batch = 0;
  WindowAxis rows, columns;
  int64_t channels = 0;
};
// `taps` (may be null) gets the place of each maximum in its window, row by row from 0; the first of equals.
void MaxPoolForward(const PoolShape& shape, const float* x, float* y, float* taps);
void MaxPoolBackward(const PoolShape& shape, const float* dy, const float* taps, float* dx);
// The mean over the whole window, padding included.
void AveragePoolForward(const PoolShape& shape, const float* x, float* y);
void AveragePoolBackward(const PoolShape& shape, const float* dy, float* dx);

// Mean and (biased) variance of each column of x [rows, columns].
void ColumnMoments(const float* x, int64_t rows, int64_t columns, float* mean, float* variance);
// running += momentum * (factor * latest - running).
void MoveTowards(const float* latest, float factor, float momentum, int64_t size, float* running);
// rstd = 1 / sqrt(variance + eps).
void InverseDeviation(const float* variance, float eps, int64_t size, float* rstd);

// y = activation((x - mean) * rstd * weight + bias + residual), by columns; residual may be null, activation is none or
// ReLU.
struct BatchNormColumns {
  const float *mean, *rstd, *weight, *bias;
};
void BatchNormForward(const float* x, const float* residual, const BatchNormColumns& norm, int64_t rows,
                      int64_t columns, bool relu, float* y);
// With g = dy where y > 0 (dy itself where y is null, without ReLU): dbias = sum g, dweight = sum g * xhat, dresidual =
// g (may be null; may be dy), and dx (may be null) through the statistics of the batch, or with fixed statistics.
void BatchNormBackward(const float* dy, const float* x, const float* y, const BatchNormColumns& norm, int64_t rows,
                       int64_t columns, bool batch_statistics, float* dx, float* dresidual, float* dweight,
                       float* dbias);

// y = x * gate: x [images, pixels, channels], gate [images, channels]; and dgate = the sum over pixels of dy * x.
void ScaleChannels(const float* x, const float* gate, int64_t images, int64_t pixels, int64_t channels, float* y);
void ScaleChannelsGateGradient(const float* x, const float* dy, int64_t images, int64_t pixels, int64_t channels,
                               float* dgate);

// out = residual + scale[b] * x on the rows [offsets[b], offsets[b + 1]) of each sequence; without a residual (null)
// scale[b] * x.
void AddScaledSequences(const float* residual, const float* x, const int32_t* offsets, const float* scale,
                        int64_t sequences, int64_t columns, float* out);

// Their slots in the table of a device.
struct VisionKernels : virtual Table {
  Kernel<kernels::Conv2dForward> Conv2dForward{"conv2d", *this};
  Kernel<kernels::Conv2dInputGradient> Conv2dInputGradient{"conv2d backward", *this};
  Kernel<kernels::Conv2dWeightGradient> Conv2dWeightGradient{"conv2d backward", *this};
  Kernel<kernels::WinogradForward> WinogradForward{"conv2d", *this};
  Kernel<kernels::WinogradInputGradient> WinogradInputGradient{"conv2d backward", *this};
  Kernel<kernels::WinogradWeightGradient> WinogradWeightGradient{"conv2d backward", *this};
  Kernel<kernels::DepthwiseForward> DepthwiseForward{"conv2d", *this};
  Kernel<kernels::DepthwiseInputGradient> DepthwiseInputGradient{"conv2d backward", *this};
  Kernel<kernels::DepthwiseWeightGradient> DepthwiseWeightGradient{"conv2d backward", *this};
  Kernel<kernels::MaxPoolForward> MaxPoolForward{"max_pool2d", *this};
  Kernel<kernels::MaxPoolBackward> MaxPoolBackward{"max_pool2d backward", *this};
  Kernel<kernels::AveragePoolForward> AveragePoolForward{"avg_pool2d", *this};
  Kernel<kernels::AveragePoolBackward> AveragePoolBackward{"avg_pool2d backward", *this};
  Kernel<kernels::ColumnMoments> ColumnMoments{"column_moments", *this};
  Kernel<kernels::MoveTowards> MoveTowards{"move_towards", *this};
  Kernel<kernels::InverseDeviation> InverseDeviation{"inverse_deviation", *this};
  Kernel<kernels::BatchNormForward> BatchNormForward{"batch_norm", *this};
  Kernel<kernels::BatchNormBackward> BatchNormBackward{"batch_norm backward", *this};
  Kernel<kernels::ScaleChannels> ScaleChannels{"scale_channels", *this};
  Kernel<kernels::ScaleChannelsGateGradient> ScaleChannelsGateGradient{"scale_channels backward", *this};
  Kernel<kernels::AddScaledSequences> AddScaledSequences{"add_scaled_sequences", *this};
};

}  // namespace attnkit::kernels
