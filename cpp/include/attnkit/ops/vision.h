// Differentiable ops on images [B, rows, columns, C].
#pragma once

#include <array>

#include "attnkit/kernels/gemm.h"
#include "attnkit/kernels/vision.h"
#include "attnkit/ops/indices.h"
#include "attnkit/tensor.h"

namespace attnkit::ops {

using Pair = std::array<int64_t, 2>;  // of rows, of columns

struct Conv2dOptions {
  Pair stride{1, 1}, padding{0, 0};
  int64_t groups = 1;
  kernels::Activation activation = kernels::Activation::kNone;
};
// x [B, H, W, C], weight [O, KH, KW, C / groups], bias [O] or undefined -> [B, H', W', O].
Tensor Conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options);

struct PoolOptions {
  Pair kernel, stride, padding{0, 0};
};
Tensor MaxPool2d(const Tensor& x, const PoolOptions& options);
Tensor AvgPool2d(const Tensor& x, const PoolOptions& options);

struct BatchNormOptions {
  bool training = false;  // statistics of the batch, which the running ones move towards; else the running ones
  float momentum = 0.1f, eps = 1e-5f;
  bool relu = false;
};
// x [..., C]; residual as x, or undefined: activation(batch norm of x + residual).
Tensor BatchNorm(const Tensor& x, const Tensor& residual, const Tensor& weight, const Tensor& bias,
                 Tensor& running_mean, Tensor& running_variance, const BatchNormOptions& options);

// x [B, H, W, C] cut into patches of size (PH, PW): [B * H/PH * W/PW, PH * PW * C], row by row.
Tensor Patches(const Tensor& x, Pair size);

// y[b, h, w, c] = x[b, h, w, c] * gate[b, c].
Tensor ScaleChannels(const Tensor& x, const Tensor& gate);

// residual + x * scale[sequence of the row]: x [T, D], scale one number a sequence.
Tensor AddScaledSequences(const Tensor& residual, const Tensor& x, const Indices& offsets,
                          const std::vector<float>& scale);

}  // namespace attnkit::ops
