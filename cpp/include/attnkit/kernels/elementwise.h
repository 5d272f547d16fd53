// Kernels over flat arrays of `size` numbers. Outputs may equal inputs.
#pragma once

#include <cstdint>

#include "attnkit/kernels/gemm.h"
#include "attnkit/kernels/kernel.h"
#include "attnkit/random.h"

namespace attnkit::kernels {

void Add(const float* x, const float* y, int64_t size, float* out);
void Subtract(const float* x, const float* y, int64_t size, float* out);
void Multiply(const float* x, const float* y, int64_t size, float* out);
void Divide(const float* x, const float* y, int64_t size, float* out);
void Axpy(float a, const float* x, int64_t size, float* y);              // y += a * x
void Scale(const float* x, float a, float b, int64_t size, float* out);  // a * x + b
void ScaleBy(const float* x, const float* a, int64_t size, float* out);  // *a * x
// out[r] = a[r] * x[r], rows of `columns` numbers.
void ScaleRows(const float* x, const float* a, int64_t rows, int64_t columns, float* out);

// GELU is the exact x * Phi(x) (Hendrycks & Gimpel, 2016); gelu-tanh and quick GELU are its two approximations there,
// x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2 and x * sigmoid(1.702 x).
enum class Unary { kExp, kLog, kSqrt, kTanh, kSigmoid, kRelu, kGelu, kSilu, kGeluTanh, kQuickGelu };
void UnaryForward(Unary op, const float* x, int64_t size, float* y);
// dx = dy * f'(x). x and y are what forward read and wrote (either may be null where f' does not need it: exp, sqrt,
// tanh, sigmoid, relu need y; log, silu and the GELUs need x).
void UnaryBackward(Unary op, const float* x, const float* y, const float* dy, int64_t size, float* dx);

// The activation of a linear layer, in place over dy: dy *= f'(.), with `pre` the value before the activation for silu
// and the GELUs, and `post` the value after it for relu, tanh, sigmoid (the other may be null).
void ActivationBackward(Activation activation, const float* pre, const float* post, int64_t size, float* dy);

// out = keep ? x / (1 - p) : 0, with the numbers of attnkit/random.h; also its own backward. p in [0, 1).
void Dropout(const float* x, int64_t size, float p, PhiloxKey key, float* out);
// out = residual + dropout(x)
void AddDropout(const float* residual, const float* x, int64_t size, float p, PhiloxKey key, float* out);

// Their slots in the table of a device.
struct ElementwiseKernels : virtual Table {
  Kernel<kernels::Add> Add{"add", *this};
  Kernel<kernels::Subtract> Subtract{"subtract", *this};
  Kernel<kernels::Multiply> Multiply{"multiply", *this};
  Kernel<kernels::Divide> Divide{"divide", *this};
  Kernel<kernels::Axpy> Axpy{"axpy", *this};
  Kernel<kernels::Scale> Scale{"scale", *this};
  Kernel<kernels::ScaleBy> ScaleBy{"scale_by", *this};
  Kernel<kernels::ScaleRows> ScaleRows{"scale_rows", *this};
  Kernel<kernels::UnaryForward> UnaryForward{"unary", *this};
  Kernel<kernels::UnaryBackward> UnaryBackward{"unary backward", *this};
  Kernel<kernels::ActivationBackward> ActivationBackward{"activation backward", *this};
  Kernel<kernels::Dropout> Dropout{"dropout", *this};
  Kernel<kernels::AddDropout> AddDropout{"add_dropout", *this};
};

}  // namespace attnkit::kernels
