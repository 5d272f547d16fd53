#include "kernels/gemm/bf16_words.h"

#if defined(__x86_64__)
#include <algorithm>

#include "hwy/base.h"

// GCC 12 warns of its own header's undefined vectors.
HWY_DIAGNOSTICS(push)
HWY_DIAGNOSTICS_OFF(disable : 4701, ignored "-Wmaybe-uninitialized")
#include <immintrin.h>
HWY_DIAGNOSTICS(pop)

HWY_PUSH_ATTRIBUTES(ATTNKIT_TARGET_BF16)
namespace attnkit::kernels::gemm {
namespace {

constexpr int64_t kBlockDepth = 2 * kWordLanes;  // numbers in a vector of words

// What is packed: `lanes` rows of A or columns of B by `depth` numbers. Number k of lane i is at data[i * lane + k * step].
struct Source {
  const float* data;
  int64_t lane, step, lanes, depth;
};

HWY_INLINE __mmask16 FirstLanes(int64_t n) {
  return static_cast<__mmask16>(n >= kWordLanes ? 0xFFFF : n <= 0 ? 0 : (1 << n) - 1);
}

HWY_INLINE __m512i Convert(__m512 high, __m512 low) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

// Words of one lane whose numbers are consecutive.
HWY_INLINE __m512i WordsAlong(const float* from, int64_t depth) {
  if (depth >= kBlockDepth) return Convert(_mm512_loadu_ps(from + kWordLanes), _mm512_loadu_ps(from));
  const __m512 low = _mm512_maskz_loadu_ps(FirstLanes(depth), from);
  return Convert(depth > kWordLanes ? _mm512_maskz_loadu_ps(FirstLanes(depth - kWordLanes), from + kWordLanes)
                                    : _mm512_setzero_ps(),
                 low);
}

// One word of consecutive lanes: the numbers at `from` and one step on, which is missing when depth is 1.
HWY_INLINE __m512i WordsAcross(const float* from, int64_t step, int64_t depth, __mmask16 lanes, __m512i interleave) {
  if (depth <= 0) return _mm512_setzero_si512();
  const __m512 low = _mm512_maskz_loadu_ps(lanes, from);
  const __m512 high = depth > 1 ? _mm512_maskz_loadu_ps(lanes, from + step) : _mm512_setzero_ps();
  return _mm512_permutexvar_epi16(interleave, Convert(high, low));
}

// Numbers 0, 16, 1, 17, ...: the two halves of a conversion become pairs.
HWY_INLINE __m512i InterleaveHalves() {
  const __m512i low = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
  return _mm512_or_si512(low, _mm512_slli_epi32(_mm512_add_epi32(low, _mm512_set1_epi32(16)), 16));
}

// v[i] word j becomes v[j] word i.
HWY_INLINE void Transpose16(__m512i (&v)[kWordLanes]) {
  __m512i t[kWordLanes];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
  // v[4 * q + c]: in each 128-bit block b, rows 4 * q .. 4 * q + 3 of column 4 * b + c.
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const __m512i even01 = _mm512_shuffle_i32x4(v[c], v[4 + c], 0x88), odd01 = _mm512_shuffle_i32x4(v[c], v[4 + c], 0xDD);
    const __m512i even23 = _mm512_shuffle_i32x4(v[8 + c], v[12 + c], 0x88);
    const __m512i odd23 = _mm512_shuffle_i32x4(v[8 + c], v[12 + c], 0xDD);
    t[c] = _mm512_shuffle_i32x4(even01, even23, 0x88);
    t[4 + c] = _mm512_shuffle_i32x4(odd01, odd23, 0x88);
    t[8 + c] = _mm512_shuffle_i32x4(even01, even23, 0xDD);
    t[12 + c] = _mm512_shuffle_i32x4(odd01, odd23, 0xDD);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) v[i] = t[i];
}

HWY_INLINE void LoadAlong(const Source& s, __m512i (&v)[kWordLanes]) {
#pragma GCC unroll 16
  for (int i = 0; i < kWordLanes; ++i) {
    v[i] = i < s.lanes ? WordsAlong(s.data + i * s.lane, s.depth) : _mm512_setzero_si512();
  }
}

HWY_INLINE void LoadAcross(const Source& s, __m512i interleave, __m512i (&v)[kWordLanes]) {
  const __mmask16 lanes = FirstLanes(s.lanes);
#pragma GCC unroll 16
  for (int w = 0; w < kWordLanes; ++w) v[w] = WordsAcross(s.data + 2 * w * s.step, s.step, s.depth - 2 * w, lanes, interleave);
}

HWY_INLINE void Store(const __m512i (&v)[kWordLanes], int64_t count, float* to, int64_t stride) {
#pragma GCC unroll 16
  for (int i = 0; i < kWordLanes; ++i) {
    if (i < count) _mm512_storeu_si512(to + i * stride, v[i]);
  }
}

// Numbers that are consecutive in neither direction.
void Gather(const Source& s, float (&to)[kWordLanes][kBlockDepth]) {
  for (int64_t i = 0; i < std::min(s.lanes, kWordLanes); ++i) {
    for (int64_t k = 0; k < std::min(s.depth, kBlockDepth); ++k) to[i][k] = s.data[i * s.lane + k * s.step];
  }
}

// Word w of lane i goes to to[i * stride + w] if kLanesApart, else to[w * stride + i]. Writes whole vectors; words from the
// depth up to `words` are zero.
template <bool kLanesApart>
void PackWords(const Source& s, int64_t words, float* to, int64_t stride) {
  const __m512i interleave = InterleaveHalves();
  for (int64_t i = 0; i < s.lanes; i += kWordLanes) {
    for (int64_t w = 0; w < words; w += kWordLanes) {
      Source block{s.data + i * s.lane + 2 * w * s.step, s.lane, s.step, s.lanes - i, s.depth - 2 * w};
      float gathered[kWordLanes][kBlockDepth];
      if (s.step != 1 && s.lane != 1) {
        Gather(block, gathered);
        block.data = gathered[0], block.lane = kBlockDepth, block.step = 1;
      }
      __m512i v[kWordLanes];
      const bool along = block.step == 1;
      if (along) {
        LoadAlong(block, v);
      } else {
        LoadAcross(block, interleave, v);
      }
      if (along != kLanesApart) Transpose16(v);
      Store(v, kLanesApart ? block.lanes : words - w, to + (kLanesApart ? i * stride + w : w * stride + i), stride);
    }
  }
}

}  // namespace

void PackWordsA(const MatrixView& a, int64_t rows, int64_t depth, int64_t padded, float* to, int64_t to_row) {
  PackWords<true>({a.data, a.row_stride, a.column_stride, rows, depth}, padded, to, to_row);
}

void PackWordsB(const MatrixView& b, int64_t depth, int64_t padded, int64_t columns, int64_t width, float* to) {
  PackWords<false>({b.data, b.column_stride, b.row_stride, columns, depth}, padded, to, width);
}

}  // namespace attnkit::kernels::gemm
HWY_POP_ATTRIBUTES
#endif  // __x86_64__
