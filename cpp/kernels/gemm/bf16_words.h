// Packing into words of two bf16 numbers, by the conversion of AVX512-BF16 (to nearest, ties to even).
#pragma once

#include "kernels/gemm/kernel.h"

#if defined(__x86_64__)
#define ATTNKIT_TARGET_BF16 "avx2,fma,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16"

namespace attnkit::kernels::gemm {

constexpr int64_t kWordLanes = 16;  // words of a vector

// Kernel::pack_a and Kernel::pack_b. pack_a may write up to 15 words past the padded depth of a row.
void PackWordsA(const MatrixView& a, int64_t rows, int64_t depth, int64_t padded, float* to, int64_t to_row);
void PackWordsB(const MatrixView& b, int64_t depth, int64_t padded, int64_t columns, int64_t width, float* to);

}  // namespace attnkit::kernels::gemm
#endif
