// The dropout numbers of a tile of weights.

#if defined(ATTNKIT_KERNELS_ATTENTION_DROPOUT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTNKIT_KERNELS_ATTENTION_DROPOUT_INL_H_
#undef ATTNKIT_KERNELS_ATTENTION_DROPOUT_INL_H_
#else
#define ATTNKIT_KERNELS_ATTENTION_DROPOUT_INL_H_
#endif

#include "kernels/attention/product-inl.h"
#include "kernels/philox-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::attention::HWY_NAMESPACE {

// 16-bit numbers that DropoutNumbers needs room for: it writes groups of vectors, and readers take whole vectors.
constexpr int64_t DropoutRoom(int64_t blocks) { return 8 * blocks + kPhiloxPadding; }

// Row r gets the numbers of blocks first + r * row_step, ... (`blocks` of them), at numbers + r * blocks * 8. Vectors
// run on from row to row, because a row of a short sentence fills no vector.
inline void DropoutNumbers(PhiloxKey key, uint64_t first, uint64_t row_step, int64_t rows, int64_t blocks,
                           uint16_t* numbers) {
  const PhiloxTag d;
  constexpr int64_t kWords = hn::MaxLanes(d);
  HWY_ALIGN uint64_t lanes[kWords];
  int64_t column = 0;
  for (int64_t left = rows * blocks; left > 0;) {
    const int64_t vectors = left > (kPhiloxUnroll - 1) * kWords ? kPhiloxUnroll : 1;
    PhiloxVec index[kPhiloxUnroll];
    for (int64_t u = 0; u < vectors; ++u) {
      for (uint64_t& lane : lanes) {
        lane = first + static_cast<uint64_t>(column);
        if (++column == blocks) {
          column = 0;
          first += row_step;
        }
      }
      index[u] = hn::Load(d, lanes);
    }
    if (vectors == 1) {
      const PhiloxVec one[1] = {index[0]};
      PhiloxVectors(key, one, numbers);
    } else {
      PhiloxVectors(key, index, numbers);
    }
    numbers += 8 * vectors * kWords;
    left -= vectors * kWords;
  }
}

}  // namespace attnkit::kernels::attention::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
