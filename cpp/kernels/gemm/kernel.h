// What the driver (gemm.cc) and the register kernels agree on.
//
// Everything is counted in 32-bit words of depth: a word is a float32, or a pair of bf16 numbers of consecutive k.
// Packed B is a sequence of panels, each [depth, width] words, so that one step of depth reads whole vectors; A is rows
// of words. Only the last panel may be narrower than the others.
#pragma once

#include <cstdint>

#include "attnkit/cpu.h"
#include "attnkit/kernels/gemm.h"

namespace attnkit::kernels::gemm {

inline int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t RoundUp(int64_t a, int64_t multiple) { return CeilDiv(a, multiple) * multiple; }

// A matrix read in place: element (i, j) at data[i * row_stride + j * column_stride].
struct MatrixView {
  const float* data;
  int64_t row_stride, column_stride;

  const float* at(int64_t i, int64_t j) const { return data + i * row_stride + j * column_stride; }
  MatrixView transposed() const { return {data, column_stride, row_stride}; }
};

// A right-hand side as it is given: float32, packed where it lies, or bf16 (its bits) or int8 (a column lies together,
// and has a multiplier), of which the columns that are being packed are float32 for that long.
struct RightSide {
  RightSide(const MatrixView& floats) : floats(floats) {}  // NOLINT: a matrix is a source
  RightSide(const uint16_t* bits, int64_t row_stride, int64_t column_stride)
      : floats{nullptr, row_stride, column_stride}, bits(bits) {}

  RightSide(const int8_t* columns, const float* multipliers, int64_t k)
      : floats{nullptr, 1, k}, bytes(columns), multipliers(multipliers) {}

  MatrixView floats;
  const uint16_t* bits = nullptr;
  const int8_t* bytes = nullptr;
  const float* multipliers = nullptr;

  // How many of k rows are best read at a time: what is widened stays in the L1 cache.
  int64_t RowsAtOnce(int64_t k) const { return bits && k > 64 ? 64 : k; }
  // Columns [first, first + count) of rows [row, row + rows); of bf16 and int8 in `buffer`, of int8 whole columns.
  MatrixView Columns(int64_t first, int64_t count, int64_t row, int64_t rows, Buffer<float>& buffer) const;
};

// Rows of memory that will be read after the present call. The kernels fetch them into the second-level cache, a line
// now and then: bursts would wait for each other, and rows that lie far apart are beyond what the hardware foresees.
struct Ahead {
  static constexpr int64_t kLine = 16;  // numbers of a cache line

  const float* next = nullptr;
  int64_t lines_left = 0, rows_left = 0, row_lines = 0, row_gap = 0;

  Ahead() = default;
  Ahead(const float* data, int64_t rows, int64_t columns, int64_t row_stride)
      : next(data),
        lines_left(CeilDiv(columns, kLine)),
        rows_left(rows),
        row_lines(lines_left),
        row_gap(row_stride - row_lines * kLine) {}

  void Fetch() {
    if (lines_left == 0) return;
    __builtin_prefetch(next, 0, 2);
    next += kLine;
    if (--lines_left == 0 && --rows_left > 0) {
      next += row_gap;
      lines_left = row_lines;
    }
  }
};

// A part of C.
struct Block {
  int64_t row, rows, column, columns;
};

// C[rows, columns] = init + A · B over `runs` runs of `depth` words. Panels of B lie panel_stride apart; all but the
// last are full. In a row of A a run begins run_stride words behind the one before; B goes on without a gap.
struct TileCall {
  const float* a;
  int64_t a_row;
  const float* b;
  int64_t panel_stride;
  int64_t depth;
  float* c;
  int64_t c_row;
  const float* init;  // null for zeros; init_row = 0 repeats one row
  int64_t init_row;
  int64_t rows, columns;
  Ahead* ahead;
  int64_t runs = 1, run_stride = 0;
};

struct Kernel {
  int64_t rows;              // most rows of a TileCall
  int64_t panel;             // columns of a full panel
  int64_t lanes;             // a narrower last panel is padded to a multiple of this
  int64_t depth_unit;        // depth is padded to a multiple of this many words
  int64_t depth_block;       // words of depth that A and B are read in at a time
  int64_t word;              // numbers in a word
  bool reads_rows_in_place;  // A need not be packed when its rows are contiguous

  // C[rows, columns] of any number of columns.
  void (*tile)(const TileCall& call);
  // `rows` rows of `depth` numbers into rows of words, to_row apart, zeros up to the padded depth.
  void (*pack_a)(const MatrixView& a, int64_t rows, int64_t depth, int64_t padded, float* to, int64_t to_row);
  // One panel: `depth` rows and `columns` columns into [padded, width] words.
  void (*pack_b)(const MatrixView& b, int64_t depth, int64_t padded, int64_t columns, int64_t width, float* to);
  // Around the calls of one thread; null where there is nothing to set up.
  void (*begin)();
  void (*end)();
};

// For ActiveIsa() and so many columns of B.
const Kernel& Float32Kernel(int64_t columns);
const Kernel& RoundedKernel(int64_t columns);  // bf16 inputs multiplied as float32
#if defined(__x86_64__)
const Kernel& Avx512Bf16Kernel(int64_t columns);
const Kernel& AmxKernel();
#endif

// Of float32 and bf16; int8 has its own (int8.h). `columns` are those that B was packed with: panels differ in width.
inline const Kernel& KernelFor(Precision precision, int64_t columns) {
  if (precision == Precision::kFloat32) return Float32Kernel(columns);
#if defined(__x86_64__)
  if (HasAmx()) return AmxKernel();
  if (HasAvx512Bf16()) return Avx512Bf16Kernel(columns);
#endif
  return RoundedKernel(columns);
}

// Words of a row of A or a column of B of k numbers.
inline int64_t DepthWords(const Kernel& kernel, int64_t k) {
  return RoundUp(CeilDiv(k, kernel.word), kernel.depth_unit);
}

// Words of depth at a time: a tile of A and a panel of B, over so many words, stay in the caches that the kernel reads
// from.
constexpr int64_t kVectorDepthBlock = 512, kAmxDepthBlock = 256;

// Tasks worth waking a thread for, a multiple of the threads where there is enough for each. A product of few rows
// takes as long as reading B does, one of many as its arithmetic. number_bytes: of a number of B.
int64_t WorthwhileTasks(int64_t m, int64_t n, int64_t k, int64_t number_bytes);
// All of B [k, n] in panels.
Buffer<uint8_t> PackAll(const Kernel& kernel, const RightSide& b, int64_t k, int64_t n);
// C[m, n] = epilogue(A · B) for B from PackAll. Parallel over blocks of C.
void MultiplyAll(const Kernel& kernel, const MatrixView& a, const float* packed, int64_t m, int64_t n, int64_t k,
                 float* c, int64_t c_row, const Epilogue& epilogue);
// The product of Gemm (attnkit/kernels/gemm.h) in this thread alone, for callers that run in parallel themselves. Rows
// of A are contiguous, a_row apart.
void MultiplyInThread(const float* a, int64_t a_row, int64_t m, const PackedMatrix& b, float* c, int64_t c_row,
                      const Epilogue& epilogue);

// C = activation(pre) over [rows, columns]; pre may be C.
void ActivateBlock(Activation activation, const float* pre, float* c, int64_t row_stride, int64_t rows,
                   int64_t columns);

}  // namespace attnkit::kernels::gemm
