// Matrix products, x [..., K], in the precision of attnkit/precision.h.
#pragma once

#include "attnkit/kernels/gemm.h"
#include "attnkit/tensor.h"

namespace attnkit::ops {

Tensor MatMul(const Tensor& a, const Tensor& b);  // [..., M, K] x [..., K, N], leading axes broadcast
// y = activation(x weight^T + bias): x [..., K], weight [N, K], bias [N] or undefined.
Tensor Linear(const Tensor& x, const Tensor& weight, const Tensor& bias, kernels::Activation activation);

}  // namespace attnkit::ops
