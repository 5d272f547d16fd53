// A product made in parts, for callers that look at C a block at a time and never hold it.
#pragma once

#include "kernels/gemm/int8.h"

namespace attnkit::kernels::gemm {

// A · B + bias: A [m, k] of contiguous rows, B packed in any precision. What is done to A is done once.
class ProductParts {
 public:
  // a, b and bias (may be null) must outlive this.
  ProductParts(const float* a, int64_t m, const PackedMatrix& b, const float* bias);

  // Columns of a block of B that stays in the L2 cache: whole panels. Depends on B alone.
  int64_t block_columns() const { return block_columns_; }
  // C[row .. row + rows, column .. column + columns]; `column` is a multiple of block_columns(). From inside a parallel
  // loop, by the calling thread.
  void Multiply(const Block& block, float* c, int64_t c_row) const;

 private:
  const float* a_;
  const PackedMatrix& b_;
  const float* bias_;
  int64_t block_columns_;
  const Int8Kernel* int8_ = nullptr;
  QuantizedRows quantized_;
};

}  // namespace attnkit::kernels::gemm
