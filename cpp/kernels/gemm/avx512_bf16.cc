// bf16 dot products of AVX-512: a word of A times a word of B is two multiply-adds.
#include "kernels/gemm/bf16_words.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <array>
#include <utility>

#include "hwy/base.h"

HWY_PUSH_ATTRIBUTES(ATTNKIT_TARGET_BF16)
namespace attnkit::kernels::gemm {
namespace avx512_bf16 {

struct Bf16Ops {
  using Vector = __m512;
  static constexpr int kLanes = 16;

  static HWY_INLINE Vector Zero() { return _mm512_setzero_ps(); }
  static HWY_INLINE Vector Load(const float* from) { return _mm512_loadu_ps(from); }
  static HWY_INLINE void Store(Vector v, float* to) { _mm512_storeu_ps(to, v); }
  static HWY_INLINE Vector Broadcast(const float* from) { return _mm512_set1_ps(*from); }
  static HWY_INLINE Vector MulAdd(Vector a, Vector b, Vector c) {
    return _mm512_dpbf16_ps(c, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
  static HWY_INLINE __mmask16 FirstLanes(int64_t n) { return static_cast<__mmask16>((1u << n) - 1); }
  static HWY_INLINE Vector LoadTail(const float* from, int64_t n) { return _mm512_maskz_loadu_ps(FirstLanes(n), from); }
  static HWY_INLINE void StoreTail(Vector v, float* to, int64_t n) { _mm512_mask_storeu_ps(to, FirstLanes(n), v); }
};

// Of 32 registers, with room for the vectors of B and a broadcast.
struct TallOps : Bf16Ops {
  static constexpr int kRows = 8, kVectors = 3;
};
struct WideOps : Bf16Ops {
  static constexpr int kRows = 6, kVectors = 4;
};

#include "kernels/gemm/tile.inc"

template <class Ops>
const Kernel& MakeKernel() {
  static constexpr Kernel kKernel = {Ops::kRows,
                                     Ops::kVectors * Ops::kLanes,
                                     Ops::kLanes,
                                     1,
                                     kVectorDepthBlock,
                                     2,
                                     false,
                                     &TileRow<Ops>,
                                     &PackWordsA,
                                     &PackWordsB,
                                     nullptr,
                                     nullptr};
  return kKernel;
}

}  // namespace avx512_bf16
}  // namespace attnkit::kernels::gemm
HWY_POP_ATTRIBUTES

namespace attnkit::kernels::gemm {

const Kernel& Avx512Bf16Kernel(int64_t columns) {
  using namespace avx512_bf16;
  return SuitsWide<TallOps, WideOps>(columns) ? MakeKernel<WideOps>() : MakeKernel<TallOps>();
}

}  // namespace attnkit::kernels::gemm
#endif  // __x86_64__
