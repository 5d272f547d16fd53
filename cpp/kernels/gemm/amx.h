// The AMX kernel on emulated tiles.
#pragma once

#include <cstdint>

namespace attnkit::kernels {

// C[m, n] = A · B in bf16 with float32 sums, computed as AMX would, in plain C++ on any machine: for tests of the
// kernel's logic. Strides as in Gemm.
void GemmAmxEmulated(const float* a, int64_t a_row_stride, int64_t a_column_stride, const float* b,
                     int64_t b_row_stride, int64_t b_column_stride, int64_t m, int64_t n, int64_t k, float* c,
                     int64_t c_row_stride);
// The same in int8.
void GemmInt8AmxEmulated(const float* a, int64_t a_row_stride, int64_t a_column_stride, const float* b,
                         int64_t b_row_stride, int64_t b_column_stride, int64_t m, int64_t n, int64_t k, float* c,
                         int64_t c_row_stride);

}  // namespace attnkit::kernels
