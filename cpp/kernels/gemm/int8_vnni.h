// Vectors of the int8 kernels for AVX-512: the dot product of VNNI, and how sums become numbers of C.
#pragma once

#include "kernels/gemm/int8.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "hwy/base.h"

#define ATTNKIT_TARGET_VNNI "avx2,fma,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"

HWY_PUSH_ATTRIBUTES(ATTNKIT_TARGET_VNNI)
namespace attnkit::kernels::gemm {

template <int kColumnVectors>
struct VnniOps {
  using Vector = __m512i;
  using Word = __m512i;
  static constexpr int kLanes = 16, kRows = 8, kVectors = kColumnVectors, kWordUnit = 4, kWordBytes = 4;

  static HWY_INLINE Vector Zero() { return _mm512_setzero_si512(); }
  static HWY_INLINE Vector Load(const void* from) { return _mm512_loadu_si512(from); }
  static HWY_INLINE Vector LoadWords(const int8_t* from) { return Load(from); }
  static HWY_INLINE Vector Add(Vector a, Vector b) { return _mm512_add_epi32(a, b); }
  static HWY_INLINE Word Broadcast(const int8_t* from) {
    int32_t word;
    __builtin_memcpy(&word, from, sizeof(word));
    return _mm512_set1_epi32(word);
  }
  // GCC 12 copies and spills every sum around the intrinsic.
  static HWY_INLINE Vector MulAdd(Word a, Vector b, Vector sum) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
  }

  // Scales, shifts and bias of the `count` columns from `first` on.
  struct Column {
    __m512 scale, bias;
    bool shifted;

    HWY_INLINE Column(const Int8Call& call, int64_t first, int64_t count)
        : scale(_mm512_loadu_ps(call.column_scales + first)),
          bias(call.bias ? _mm512_maskz_loadu_ps(FirstLanes(count), call.bias + first) : _mm512_setzero_ps()),
          shifted(call.shifts != nullptr) {
      if (shifted) bias = _mm512_add_ps(_mm512_loadu_ps(call.shifts + first), bias);
    }

    HWY_INLINE void Store(Vector sum, float row_scale, float* to, int64_t count) const {
      const __m512 factor = _mm512_mul_ps(_mm512_set1_ps(row_scale), scale);
      const __m512 number = _mm512_maskz_cvtepi32_ps(0xFFFF, sum);
      const __m512 result =
          shifted ? _mm512_add_ps(_mm512_mul_ps(number, factor), bias) : _mm512_fmadd_ps(number, factor, bias);
      if (count >= kLanes) {
        _mm512_storeu_ps(to, result);
      } else {
        _mm512_mask_storeu_ps(to, FirstLanes(count), result);
      }
    }
  };

 private:
  static HWY_INLINE __mmask16 FirstLanes(int64_t n) { return static_cast<__mmask16>((1u << n) - 1); }
};

}  // namespace attnkit::kernels::gemm
HWY_POP_ATTRIBUTES
#endif  // __x86_64__
