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

// What is packed: `lanes` rows of A or columns of B by `depth` numbers. Number k of lane i is at data[i * lane + k *
// step].
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
    const __m512i even01 = _mm512_shuffle_i32x4(v[c], v[4 + c], 0x88),
                  odd01 = _mm512_shuffle_i32x4(v[c], v[4 + c], 0xDD);
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

// Numbers that are consecutive in neither direction, as if each lane's were.
HWY_INLINE Source Gather(const Source& s, float (&to)[kWordLanes][kBlockDepth]) {
  for (int64_t i = 0; i < std::min(s.lanes, kWordLanes); ++i) {
    for (int64_t k = 0; k < std::min(s.depth, kBlockDepth); ++k) to[i][k] = s.data[i * s.lane + k * s.step];
  }
  return {to[0], kBlockDepth, 1, s.lanes, s.depth};
}

// Lanes of consecutive numbers to lanes of consecutive words.
void PackAlong(const Source& s, int64_t words, float* to, int64_t stride) {
  for (int64_t i = 0; i < s.lanes; ++i) {
    const float *from = s.data + i * s.lane, *next = i + 1 < s.lanes ? from + s.lane : from;
    for (int64_t w = 0; w < words; w += kWordLanes) {
      __builtin_prefetch(next + 2 * w);
      __builtin_prefetch(next + 2 * w + kWordLanes);
      _mm512_storeu_si512(to + i * stride + w, WordsAlong(from + 2 * w, s.depth - 2 * w));
    }
  }
}

// Numbers of consecutive lanes to words of consecutive lanes.
void PackAcross(const Source& s, int64_t words, float* to, int64_t stride) {
  const __m512i interleave = InterleaveHalves();
  for (int64_t w = 0; w < words; ++w) {
    const float* from = s.data + 2 * w * s.step;
    for (int64_t i = 0; i < s.lanes; i += kWordLanes) {
      const __m512i v = WordsAcross(from + i, s.step, s.depth - 2 * w, FirstLanes(s.lanes - i), interleave);
      _mm512_storeu_si512(to + w * stride + i, v);
    }
  }
}

// The lines that hold the next block of depth: rows that lie far apart are beyond what the hardware foresees.
HWY_INLINE void PrefetchNext(const Source& block) {
  if (block.step == 1 || block.depth < 2 * kBlockDepth) return;
#pragma GCC unroll 8
  for (int64_t k = 0; k < kBlockDepth; ++k) __builtin_prefetch(block.data + (kBlockDepth + k) * block.step);
}

HWY_INLINE void LoadBlock(const Source& s, __m512i interleave, __m512i (&v)[kWordLanes]) {
  if (s.step == 1) {
#pragma GCC unroll 16
    for (int i = 0; i < kWordLanes; ++i) {
      v[i] = i < s.lanes ? WordsAlong(s.data + i * s.lane, s.depth) : _mm512_setzero_si512();
    }
  } else {
    const __mmask16 lanes = FirstLanes(s.lanes);
#pragma GCC unroll 16
    for (int w = 0; w < kWordLanes; ++w) {
      v[w] = WordsAcross(s.data + 2 * w * s.step, s.step, s.depth - 2 * w, lanes, interleave);
    }
  }
}

// Blocks of 16 lanes by 16 words, transposed on the way. Word w of lane i goes to to[i * lane_stride + w *
// word_stride].
void PackTransposed(const Source& s, int64_t words, float* to, int64_t lane_stride, int64_t word_stride) {
  const __m512i interleave = InterleaveHalves();
  for (int64_t w = 0; w < words; w += kWordLanes) {
    for (int64_t i = 0; i < s.lanes; i += kWordLanes) {
      const Source block{s.data + i * s.lane + 2 * w * s.step, s.lane, s.step, s.lanes - i, s.depth - 2 * w};
      __m512i v[kWordLanes];
      PrefetchNext(block);
      LoadBlock(block, interleave, v);
      Transpose16(v);
      const int64_t count = word_stride == 1 ? block.lanes : words - w,
                    stride = word_stride == 1 ? lane_stride : word_stride;
      float* corner = to + i * lane_stride + w * word_stride;
#pragma GCC unroll 16
      for (int j = 0; j < kWordLanes; ++j) {
        if (j < count) _mm512_storeu_si512(corner + j * stride, v[j]);
      }
    }
  }
}

// Packs any source, by way of copies of blocks where nothing is consecutive.
void PackGathered(const Source& s, int64_t words, float* to, int64_t lane_stride, int64_t word_stride) {
  float gathered[kWordLanes][kBlockDepth];
  for (int64_t w = 0; w < words; w += kWordLanes) {
    for (int64_t i = 0; i < s.lanes; i += kWordLanes) {
      const Source block = Gather(
          {s.data + i * s.lane + 2 * w * s.step, s.lane, s.step, std::min(kWordLanes, s.lanes - i), s.depth - 2 * w},
          gathered);
      float* corner = to + i * lane_stride + w * word_stride;
      if (word_stride == 1) {
        PackAlong(block, kWordLanes, corner, lane_stride);
      } else {
        PackTransposed(block, std::min(kWordLanes, words - w), corner, lane_stride, word_stride);
      }
    }
  }
}

}  // namespace

void PackWordsA(const MatrixView& a, int64_t rows, int64_t depth, int64_t padded, float* to, int64_t to_row) {
  const Source source{a.data, a.row_stride, a.column_stride, rows, depth};
  if (source.step == 1) {
    PackAlong(source, padded, to, to_row);
  } else if (source.lane == 1) {
    PackTransposed(source, padded, to, to_row, 1);
  } else {
    PackGathered(source, padded, to, to_row, 1);
  }
}

void PackWordsB(const MatrixView& b, int64_t depth, int64_t padded, int64_t columns, int64_t width, float* to) {
  const Source source{b.data, b.column_stride, b.row_stride, columns, depth};
  if (source.lane == 1) {
    PackAcross(source, padded, to, width);
  } else if (source.step == 1) {
    PackTransposed(source, padded, to, 1, width);
  } else {
    PackGathered(source, padded, to, 1, width);
  }
}

}  // namespace attnkit::kernels::gemm
HWY_POP_ATTRIBUTES
#endif  // __x86_64__
