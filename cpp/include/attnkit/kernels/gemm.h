// Packed matrix product: C[M, N] = epilogue(A[M, K] · B[K, N]) in float32, with bf16 inputs and float32 accumulation,
// or in 8-bit integers.
//
// In float32 and bf16 every number of C is one chain of multiply-adds over k = 0 .. K-1 in rising order (in blocks of a
// fixed size), the same for every M, so a row's result does not depend on the rows beside it. In int8 each column of B
// and each row of A has a scale of its own, the largest magnitude over 127; sums of integers are exact.
#pragma once

#include <cstdint>
#include <memory>

#include "attnkit/allocator.h"
#include "attnkit/kernels/kernel.h"

namespace attnkit::kernels {

enum class Precision { kFloat32 = 0, kBFloat16 = 1, kInt8 = 2 };
enum class Activation { kNone = 0, kRelu, kGelu, kSilu, kTanh, kSigmoid, kGeluTanh, kQuickGelu };

// B packed for the instruction set that was active when it was made: panels of columns, padded with zeros.
struct PackedMatrix {
  int64_t k = 0, n = 0;
  Precision precision = Precision::kFloat32;
  int isa = 0;        // static_cast<int>(ActiveIsa()) at packing
  int64_t panel = 0;  // columns of a panel
  Buffer<uint8_t> data;
  // int8 only, for each column, zeros up to whole vectors: what an integer stands for, and what an unsigned A adds.
  Buffer<float> scales;
  Buffer<int32_t> compensation;
  // Where A is quantised by a multiplier that is known beforehand (Quantization), not by row. Integers then are sums of
  // (q + 127) times the bytes of B, whatever the arithmetic, and `shifts` takes what the 127 add off again, as floats:
  // so the bytes of C are those of the engine that the multiplier comes from.
  float input_multiplier = 0.0f;
  Buffer<float> shifts;
  Buffer<int32_t> signed_compensation;  // 127 times the sum of the column, for a signed A
  // What another device than the CPU made of B, in its own memory and order; then all buffers are empty.
  std::shared_ptr<const void> on_device;
  bool empty() const { return k == 0 || n == 0; }
};

// B[k, n] is read at b[k * row_stride + n * column_stride].
PackedMatrix PackMatrix(const float* b, int64_t k, int64_t n, int64_t row_stride, int64_t column_stride,
                        Precision precision);

// The same of bfloat16, as bits.
PackedMatrix PackBFloat16(const uint16_t* b, int64_t k, int64_t n, int64_t row_stride, int64_t column_stride,
                          Precision precision);

// What the bytes of an int8 weight stand for: number = byte / multiplier of its row. input_multiplier, where it is not
// 0, is what the inputs of its products are multiplied by, rounded and bounded by 127, in int8.
struct Quantization {
  Buffer<float> multipliers;  // [rows]
  float input_multiplier = 0.0f;
};

// The same of an int8 weight's n rows, each a column of B: B[k, n] is byte k of row n.
PackedMatrix PackQuantized(const int8_t* rows, const Quantization& quantization, int64_t k, int64_t n,
                           Precision precision);

struct Epilogue {
  bool accumulate = false;      // C += instead of C = (bias and activation must then be unset)
  const float* bias = nullptr;  // [N], added to every row
  Activation activation = Activation::kNone;
  float* pre_activation = nullptr;  // if set: the value before the activation is stored here, same layout as C
};

// A[m, k] is read at a[m * a_row_stride + k * a_column_stride]; row m of C starts at c + m * c_row_stride. Parallel
// over blocks of C. K = 0 gives C = epilogue(0). In int8 neither accumulate nor pre_activation may be set. Throws
// std::invalid_argument when B was packed for another instruction set.
void Gemm(const float* a, int64_t a_row_stride, int64_t a_column_stride, int64_t m, const PackedMatrix& b, float* c,
          int64_t c_row_stride, const Epilogue& epilogue = {});

// The same with B given plainly; packs it first.
void MatMul(const float* a, int64_t a_row_stride, int64_t a_column_stride, const float* b, int64_t b_row_stride,
            int64_t b_column_stride, int64_t m, int64_t n, int64_t k, Precision precision, float* c,
            int64_t c_row_stride, const Epilogue& epilogue = {});

// Matrices of one shape: number (i, j) of the b-th is at data[b * step + i * row_stride + j * column_stride].
struct MatrixBatch {
  const float* data;
  int64_t step, row_stride, column_stride;
};

// `count` such products, of A [M, K] and B [K, N] each. The matrices of C lie one after the other, row by row.
void MatMuls(int64_t count, const MatrixBatch& a, const MatrixBatch& b, int64_t m, int64_t n, int64_t k,
             Precision precision, float* c);

// Their slots in the table of a device.
struct ProductKernels : virtual Table {
  Kernel<kernels::PackMatrix> PackMatrix{"pack", *this};
  Kernel<kernels::PackBFloat16> PackBFloat16{"pack", *this};
  Kernel<kernels::PackQuantized> PackQuantized{"pack", *this};
  Kernel<kernels::Gemm> Gemm{"product", *this};
  Kernel<kernels::MatMul> MatMul{"matmul", *this};
  Kernel<kernels::MatMuls> MatMuls{"matmul", *this};
};

}  // namespace attnkit::kernels
