// Sums of an array. Those that return a number are the only kernels whose results the host waits for.
#pragma once

#include <cstdint>

#include "attnkit/kernels/kernel.h"

namespace attnkit::kernels {

// Pairwise in fixed chunks, in double.
double Sum(const float* x, int64_t size);
double SumOfSquares(const float* x, int64_t size);
bool AllFinite(const float* x, int64_t size);
int64_t CountNan(const float* x, int64_t size);

// *out = scale * sum of x, rounded once.
void SumTo(const float* x, int64_t size, float scale, float* out);
// out[o, i] = sum over l of x[o, l, i]: x [outer, length, inner].
void SumAxis(const float* x, int64_t outer, int64_t length, int64_t inner, float* out);

// Their slots in the table of a device.
struct ReduceKernels : virtual Table {
  Kernel<kernels::Sum> Sum{"sum", *this};
  Kernel<kernels::SumOfSquares> SumOfSquares{"sum_of_squares", *this};
  Kernel<kernels::AllFinite> AllFinite{"all_finite", *this};
  Kernel<kernels::CountNan> CountNan{"count_nan", *this};
  Kernel<kernels::SumTo> SumTo{"sum_to", *this};
  Kernel<kernels::SumAxis> SumAxis{"sum_axis", *this};
};

}  // namespace attnkit::kernels
