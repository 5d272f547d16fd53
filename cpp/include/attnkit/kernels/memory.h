// Kernels that move numbers without computing: fills, copies, gathers, and what lies between arrays of other strides.
// Rows are `columns` numbers long and, where no stride is said, contiguous. `rows` must lie within the array that they
// select from; who calls has checked it. Memory must not overlap where it is read and written, but where said.
#pragma once

#include <cstdint>
#include <vector>

#include "attnkit/kernels/kernel.h"

namespace attnkit::kernels {

void Fill(float value, int64_t size, float* out);
void Copy(const float* x, int64_t size, float* out);

// out[r * out_stride + c] = x[r * x_stride + c].
void CopyRows(const float* x, int64_t x_stride, int64_t rows, int64_t columns, float* out, int64_t out_stride);

// out, contiguous and of these sizes, = x read at `strides`, of which 0 repeats: transposition, broadcasting, slicing.
void CopyStrided(const float* x, const std::vector<int64_t>& strides, const std::vector<int64_t>& sizes, float* out);

void GatherRows(const float* x, const int32_t* rows, int64_t count, int64_t columns,
                float* out);  // out[i] = x[rows[i]]
void ScatterRows(const float* x, const int32_t* rows, int64_t count, int64_t columns,
                 float* out);  // out[rows[i]] = x[i]
// out[rows[i]] += x[i], in the order of i where a row occurs more than once.
void AddToRows(const float* x, const int32_t* rows, int64_t count, int64_t columns, float* out);
void FillRows(float value, const int32_t* rows, int64_t count, int64_t columns, float* out);  // out[rows[i]] = value

// Of bfloat16, as bits (the upper half of a float32's): each number as float32, and each rounded to it, to the nearest,
// ties to even; NaN stays NaN.
void Widen(const uint16_t* x, int64_t size, float* out);
void Round(const float* x, int64_t size, uint16_t* out);
void GatherWidened(const uint16_t* x, const int32_t* rows, int64_t count, int64_t columns,
                   float* out);  // out[i] = x[rows[i]] as float32

// Of int8 weights: their rows as float32, row i divided by its multiplier; and some of them as they are.
struct RowMultipliers {
  const float* data;  // [rows], the host's
};
void Dequantize(const int8_t* x, const RowMultipliers& multipliers, int64_t rows, int64_t columns, float* out);
void GatherBytes(const int8_t* x, const int32_t* rows, int64_t count, int64_t columns, int8_t* out);

// Their slots in the table of a device.
struct MemoryKernels : virtual Table {
  Kernel<kernels::Fill> Fill{"fill", *this};
  Kernel<kernels::Copy> Copy{"copy", *this};
  Kernel<kernels::CopyRows> CopyRows{"copy_rows", *this};
  Kernel<kernels::CopyStrided> CopyStrided{"copy_strided", *this};
  Kernel<kernels::GatherRows> GatherRows{"gather_rows", *this};
  Kernel<kernels::ScatterRows> ScatterRows{"scatter_rows", *this};
  Kernel<kernels::AddToRows> AddToRows{"add_to_rows", *this};
  Kernel<kernels::FillRows> FillRows{"fill_rows", *this};
  Kernel<kernels::Widen> Widen{"widen", *this};
  Kernel<kernels::Round> Round{"round", *this};
  Kernel<kernels::GatherWidened> GatherWidened{"gather_rows", *this};
  Kernel<kernels::Dequantize> Dequantize{"dequantize", *this};
  Kernel<kernels::GatherBytes> GatherBytes{"gather_rows", *this};
};

}  // namespace attnkit::kernels
