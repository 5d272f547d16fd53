// Arithmetic, number by number, with NumPy's broadcasting.
#pragma once

#include "attnkit/kernels/elementwise.h"
#include "attnkit/tensor.h"

namespace attnkit::ops {

Tensor Add(const Tensor& x, const Tensor& y);
Tensor Subtract(const Tensor& x, const Tensor& y);
Tensor Multiply(const Tensor& x, const Tensor& y);
Tensor Divide(const Tensor& x, const Tensor& y);
Tensor ScaleShift(const Tensor& x, float scale, float shift);  // scale * x + shift
Tensor Apply(kernels::Unary op, const Tensor& x);              // exp, log, relu and so on

}  // namespace attnkit::ops
