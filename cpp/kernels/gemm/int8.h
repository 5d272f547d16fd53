// What the int8 driver (int8.cc) and its register kernels agree on.
//
// A word is a few numbers of consecutive k: those that one lane multiplies at a time. B lies in panels of [words,
// width] words as in kernel.h, bytes quantised by column; A is quantised by row for each product, rows of words. Sums
// are exact in 32 bits, so they may be taken in any order.
//
// The dot product of VNNI wants A unsigned: its bytes then hold q + 128, and a sum starts from the compensation of its
// column, -128 times the sum of the column. Where A has one multiplier for all rows, sums are those of q + 127 (see
// PackedMatrix), and start from what makes them so.
#pragma once

#include <cstdint>

#include "attnkit/kernels/gemm.h"
#include "kernels/gemm/kernel.h"

namespace attnkit::kernels::gemm {

// The sums fit 32 bits up to this depth: 127² · K < 2³¹.
constexpr int64_t kDeepestInt8 = 1 << 17;
constexpr int64_t kDeepestShiftedInt8 = 1 << 16;  // 254 · 127 · K < 2³¹

// C[rows, columns] = A · B · row scale · column scale + bias. With shifts, the product is rounded before shift + bias
// is added.
struct Int8Call {
  const int8_t* a;
  int64_t a_row;  // bytes
  const int8_t* b;
  int64_t panel_stride;  // bytes; all panels but the last are full
  int64_t words;
  const int32_t* init;  // null for zeros
  const float* row_scales;
  const float* column_scales;
  const float* shifts;  // null where A is quantised by row
  const float* bias;    // null for zeros
  float* c;
  int64_t c_row;
  int64_t rows, columns;
};

// What a kernel wants of A: words of four bytes, q or q + 128, or of two numbers q of 16 bits. A word of B is as many
// bytes as one of A has numbers.
enum class Int8Rows { kSigned, kUnsigned, kWide };

constexpr int64_t kRowWordBytes = 4;
constexpr int64_t WordNumbers(Int8Rows rows) { return rows == Int8Rows::kWide ? 2 : 4; }

struct Int8Kernel {
  int64_t rows;       // most rows of an Int8Call
  int64_t panel;      // columns of a full panel
  int64_t lanes;      // a narrower last panel is padded to a multiple of this
  int64_t word_unit;  // depth is padded to a multiple of this many words
  Int8Rows a;
  const Int8Kernel* thin;  // on the same packed B, for products of at most thin_rows rows; may be null
  int64_t thin_rows;

  void (*tile)(const Int8Call& call);
  // Around the calls of one thread; null where there is nothing to set up.
  void (*begin)();
  void (*end)();
};

const Int8Kernel& Int8KernelFor();  // for ActiveIsa()
const Int8Kernel& PortableInt8Kernel();
#if defined(__x86_64__)
const Int8Kernel& Avx2Int8Kernel();
const Int8Kernel& VnniInt8Kernel();
const Int8Kernel& NarrowVnniInt8Kernel();  // on the panels of AMX
const Int8Kernel& AmxInt8Kernel();
#endif

// q = round(x · 127 / largest), ties to even, and the scale largest / 127; `size` numbers become `padded` ones as
// `rows` says, the rest those of zero. A row with a number that is not finite gets the scale NaN. With a multiplier, q
// = round(x · multiplier) within ±127 and the scale is 1.
void QuantizeRow(const float* x, int64_t size, int64_t padded, Int8Rows rows, float multiplier, int8_t* to,
                 float* scale);

// input_multiplier: that of A, 0 where it is to be quantised by row.
PackedMatrix PackInt8(const Int8Kernel& kernel, const RightSide& b, int64_t k, int64_t n,
                      float input_multiplier = 0.0f);
// A quantised: rows of words, and a scale each.
struct QuantizedRows {
  Buffer<int8_t> data;
  Buffer<float> scales;
  int64_t row = 0;  // bytes from one row to the next
};

// A [m, b.k] quantised for a product by `kernel` with B packed for `packed_for`.
QuantizedRows QuantizeRows(const Int8Kernel& kernel, const Int8Kernel& packed_for, const MatrixView& a, int64_t m,
                           const PackedMatrix& b);
// The kernel for products of m rows with B packed for this one.
inline const Int8Kernel& KernelForRows(const Int8Kernel& packed_for, int64_t m) {
  return packed_for.thin && m <= packed_for.thin_rows ? *packed_for.thin : packed_for;
}

// A block of C, of whole panels of B, made by the calling thread; c is the block's corner.
void MultiplyInt8Block(const Int8Kernel& kernel, const QuantizedRows& a, const PackedMatrix& b, const Block& block,
                       float* c, int64_t c_row, const Epilogue& epilogue);

// C[m, n] = epilogue(A · B) for B from PackInt8. Parallel over blocks of C.
void MultiplyInt8(const Int8Kernel& kernel, const MatrixView& a, int64_t m, const PackedMatrix& b, float* c,
                  int64_t c_row, const Epilogue& epilogue);

}  // namespace attnkit::kernels::gemm
