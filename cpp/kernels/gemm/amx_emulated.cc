#include "kernels/gemm/amx.h"

#include "kernels/gemm/amx_tiles.h"
#include "kernels/gemm/int8_portable.h"
#include "kernels/gemm/kernel.h"

namespace attnkit::kernels {
namespace gemm {
namespace emulated {
#include "kernels/gemm/amx_kernel.inc"
#include "kernels/gemm/int8_amx.inc"

// To the nearest bf16, ties to even; NaN stays NaN.
uint32_t RoundedBits(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof(bits));
  if (x != x) return bits >> 16 | 0x40;
  return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
}

// Numbers k and k + 1 of a row or column of which `depth` numbers exist.
float Word(const float* from, int64_t step, int64_t k, int64_t depth) {
  const uint32_t low = k < depth ? RoundedBits(from[k * step]) : 0,
                 high = k + 1 < depth ? RoundedBits(from[(k + 1) * step]) : 0;
  const uint32_t bits = low | high << 16;
  float word;
  std::memcpy(&word, &bits, sizeof(word));
  return word;
}

void PackA(const MatrixView& a, int64_t rows, int64_t depth, int64_t padded, float* to, int64_t to_row) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t w = 0; w < padded; ++w) to[r * to_row + w] = Word(a.at(r, 0), a.column_stride, 2 * w, depth);
  }
}

void PackB(const MatrixView& b, int64_t depth, int64_t padded, int64_t columns, int64_t width, float* to) {
  for (int64_t w = 0; w < padded; ++w) {
    for (int64_t j = 0; j < width; ++j) {
      to[w * width + j] = j < columns ? Word(b.at(0, j), b.row_stride, 2 * w, depth) : 0.0f;
    }
  }
}

constexpr Kernel kKernel = {kAmxRows,
                            kAmxPanel,
                            kTileWords,
                            kTileWords,
                            kAmxDepthBlock,
                            2,
                            false,
                            &AmxRow<EmulatedTiles>,
                            &PackA,
                            &PackB,
                            &AmxBegin<EmulatedTiles>,
                            &AmxEnd<EmulatedTiles>};

constexpr Int8Kernel kInt8Kernel = {kAmxRows,
                                    kAmxPanel,
                                    kTileWords,
                                    kTileWords,
                                    Int8Rows::kSigned,
                                    nullptr,
                                    0,
                                    &Int8AmxRow<EmulatedTiles, PortableOps>,
                                    &AmxBegin<EmulatedTiles>,
                                    &AmxEnd<EmulatedTiles>};

}  // namespace emulated
}  // namespace gemm

void GemmAmxEmulated(const float* a, int64_t a_row_stride, int64_t a_column_stride, const float* b,
                     int64_t b_row_stride, int64_t b_column_stride, int64_t m, int64_t n, int64_t k, float* c,
                     int64_t c_row_stride) {
  using namespace gemm;
  const Buffer<uint8_t> packed = PackAll(emulated::kKernel, MatrixView{b, b_row_stride, b_column_stride}, k, n);
  MultiplyAll(emulated::kKernel, {a, a_row_stride, a_column_stride}, reinterpret_cast<const float*>(packed.data()), m,
              n, k, c, c_row_stride, {});
}

void GemmInt8AmxEmulated(const float* a, int64_t a_row_stride, int64_t a_column_stride, const float* b,
                         int64_t b_row_stride, int64_t b_column_stride, int64_t m, int64_t n, int64_t k, float* c,
                         int64_t c_row_stride) {
  using namespace gemm;
  const PackedMatrix packed = PackInt8(emulated::kInt8Kernel, MatrixView{b, b_row_stride, b_column_stride}, k, n);
  MultiplyInt8(emulated::kInt8Kernel, {a, a_row_stride, a_column_stride}, m, packed, c, c_row_stride, {});
}

}  // namespace attnkit::kernels
