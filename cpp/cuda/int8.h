// Products in 8-bit integers on CUDA: the numbers are those of the CPU's (kernels/gemm/int8.h) to the byte.
#pragma once

#include "attnkit/check.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/packed.h"
#include "cuda/warp.h"

namespace attnkit::cuda {

// Sums fit 32 bits up to these depths: 127² · K < 2³¹, and 254 · 127 · K < 2³¹.
constexpr int64_t kDeepestInt8 = 1 << 17, kDeepestShiftedInt8 = 1 << 16;

// A block for a row of `size` numbers: the bytes that it is rounded to, by its own largest magnitude or `multiplier`,
// and what one stands for. kColumns: rows are the columns of the view.
template <bool kColumns, typename View>
__global__ void QuantizeKernel(View view, int64_t size, int64_t padded, float multiplier, int8_t* bytes,
                               float* scales) {
  __shared__ int room[kWarp];
  const int64_t row = blockIdx.x;
  const auto at = [&](int64_t i) -> float { return kColumns ? view(i, row) : view(row, i); };
  // As integers, magnitudes compare as they do as floats, and NaN is above infinity.
  int largest_bits = 0;
  for (int64_t i = threadIdx.x; i < size; i += blockDim.x) {
    const int bits = __float_as_int(at(i)) & 0x7fffffff;
    largest_bits = bits > largest_bits ? bits : largest_bits;
  }
  largest_bits = BlockReduce(largest_bits, 0, MaximumOp(), room);
  const bool finite = largest_bits < 0x7f800000;
  const float largest = __int_as_float(largest_bits);
  // Below the second number 127 / largest would overflow: such a row is zero.
  const bool tiny = !(largest > 127.0f * 1.17549435e-38f);
  const float factor = !finite ? 0.0f : multiplier > 0.0f ? multiplier : tiny ? 0.0f : 127.0f / largest;
  for (int64_t i = threadIdx.x; i < padded; i += blockDim.x) {
    int q = 0;
    if (i < size && finite) {
      float scaled = __fmul_rn(at(i), factor);
      scaled = scaled < -127.0f ? -127.0f : scaled > 127.0f ? 127.0f : scaled;
      q = static_cast<int>(rintf(scaled));  // ties to even
    }
    bytes[row * padded + i] = static_cast<int8_t>(q);
  }
  if (threadIdx.x != 0) return;
  scales[row] = !finite ? __int_as_float(0x7fc00000) : multiplier > 0.0f ? 1.0f : tiny ? 0.0f : largest / 127.0f;
}

template <bool kColumns, typename View>
void Quantize(const View& view, int64_t rows, int64_t size, int64_t padded, float multiplier, int8_t* bytes,
              float* scales) {
  Launch({dim3(static_cast<unsigned>(rows)), dim3(128)}, QuantizeKernel<kColumns, View>, view, size, padded, multiplier,
         bytes, scales);
}

// B of the view's numbers, each column with a scale of its own.
template <typename View>
kernels::PackedMatrix PackInt8(const View& b, int64_t k, int64_t n) {
  ATTNKIT_CHECK(k <= kDeepestInt8, "[gemm] expected a depth of at most ", kDeepestInt8, " in int8, got ", k);
  const auto bytes = std::make_shared<const PackedBytes>(k, n);
  Quantize<true>(b, n, k, bytes->words * 4, 0.0f, bytes->bytes.data(), bytes->scales.data());
  kernels::PackedMatrix packed;
  packed.k = k;
  packed.n = n;
  packed.precision = kernels::Precision::kInt8;
  packed.on_device = bytes;
  return packed;
}
// B of bytes that are given, n rows of k; the multipliers lie on the device.
kernels::PackedMatrix PackInt8Rows(const int8_t* rows, const float* multipliers, float input_multiplier, int64_t k,
                                   int64_t n);

void MultiplyInt8(const float* a, int64_t a_row_stride, int64_t a_column_stride, int64_t m,
                  const kernels::PackedMatrix& b, float* c, int64_t c_row, const kernels::Epilogue& epilogue);

}  // namespace attnkit::cuda
