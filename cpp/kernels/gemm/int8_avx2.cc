// int8 products on AVX2: vpmaddwd, 16 multiply-adds of 16-bit numbers an instruction. B is bytes until it is loaded, A
// is wide already. vpmaddubsw would take bytes, but unsigned ones of A, so that the signs move to B for each row, and
// the sums of its pairs have to be widened: three multiplications' worth of instructions for 32, where this has two.
#include "kernels/gemm/int8.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <utility>

#include "hwy/base.h"

HWY_PUSH_ATTRIBUTES("avx2,fma,bmi2")
namespace attnkit::kernels::gemm {
namespace avx2 {

struct Avx2Ops {
  using Vector = __m256i;
  using Word = __m256i;
  static constexpr int kLanes = 8, kRows = 6, kVectors = 2, kWordUnit = 4, kWordBytes = 2;

  static HWY_INLINE Vector Zero() { return _mm256_setzero_si256(); }
  static HWY_INLINE Vector Load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
  static HWY_INLINE Vector LoadWords(const int8_t* from) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  static HWY_INLINE Vector Add(Vector a, Vector b) { return _mm256_add_epi32(a, b); }
  static HWY_INLINE Word Broadcast(const int8_t* from) {
    int32_t word;
    __builtin_memcpy(&word, from, sizeof(word));
    return _mm256_set1_epi32(word);
  }
  static HWY_INLINE Vector MulAdd(Word a, Vector b, Vector sum) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
  }

  struct Column {
    __m256 scale, bias;
    bool shifted;

    HWY_INLINE Column(const Int8Call& call, int64_t first, int64_t count)
        : scale(_mm256_loadu_ps(call.column_scales + first)),
          bias(call.bias ? _mm256_maskload_ps(call.bias + first, FirstLanes(count)) : _mm256_setzero_ps()),
          shifted(call.shifts != nullptr) {
      if (shifted) bias = _mm256_add_ps(_mm256_loadu_ps(call.shifts + first), bias);
    }

    HWY_INLINE void Store(Vector sum, float row_scale, float* to, int64_t count) const {
      const __m256 factor = _mm256_mul_ps(_mm256_set1_ps(row_scale), scale);
      const __m256 number = _mm256_cvtepi32_ps(sum);
      const __m256 result =
          shifted ? _mm256_add_ps(_mm256_mul_ps(number, factor), bias) : _mm256_fmadd_ps(number, factor, bias);
      if (count >= kLanes) {
        _mm256_storeu_ps(to, result);
      } else {
        _mm256_maskstore_ps(to, FirstLanes(count), result);
      }
    }
  };

 private:
  static HWY_INLINE __m256i FirstLanes(int64_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
};

#include "kernels/gemm/int8_tile.inc"

}  // namespace avx2
}  // namespace attnkit::kernels::gemm
HWY_POP_ATTRIBUTES

namespace attnkit::kernels::gemm {

const Int8Kernel& Avx2Int8Kernel() {
  using Ops = avx2::Avx2Ops;
  static constexpr Int8Kernel kKernel = {
      Ops::kRows, Ops::kVectors * Ops::kLanes, Ops::kLanes, Ops::kWordUnit, Int8Rows::kWide, nullptr,
      0,          &avx2::Int8TileRow<Ops>,     nullptr,     nullptr};
  return kKernel;
}

}  // namespace attnkit::kernels::gemm
#endif  // __x86_64__
