#include "kernels/gemm/parts.h"

#include <algorithm>

namespace attnkit::kernels::gemm {

ProductParts::ProductParts(const float* a, int64_t m, const PackedMatrix& b, const float* bias)
    : a_(a), b_(b), bias_(bias) {
  constexpr int64_t kBlockBytes = 256 * 1024, kMostColumns = 512;
  const int64_t column_bytes = std::max<int64_t>(1, b.data.size() / std::max<int64_t>(1, b.n));
  const int64_t columns = std::min(kMostColumns, kBlockBytes / column_bytes);
  block_columns_ = std::max<int64_t>(1, columns / b.panel) * b.panel;
  if (b.precision == Precision::kInt8) {
    int8_ = &KernelForRows(Int8KernelFor(), m);
    quantized_ = QuantizeRows(*int8_, Int8KernelFor(), {a, b.k, 1}, m, b);
  }
}

void ProductParts::Multiply(const Block& block, float* c, int64_t c_row) const {
  Epilogue epilogue;
  epilogue.bias = bias_;
  if (int8_) return MultiplyInt8Block(*int8_, quantized_, b_, block, c, c_row, epilogue);
  if (bias_) epilogue.bias = bias_ + block.column;
  const Kernel& kernel = KernelFor(b_.precision, b_.n);
  const float* panels = reinterpret_cast<const float*>(b_.data.data()) + block.column * DepthWords(kernel, b_.k);
  MultiplyAll(kernel, {a_ + block.row * b_.k, b_.k, 1}, panels, block.rows, block.columns, b_.k, c, c_row, epilogue);
}

}  // namespace attnkit::kernels::gemm
