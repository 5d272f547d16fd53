// The numbers of random.h by vectors: Philox-4x32-10 with one block in each 64-bit lane.

#if defined(ATTNKIT_KERNELS_PHILOX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTNKIT_KERNELS_PHILOX_INL_H_
#undef ATTNKIT_KERNELS_PHILOX_INL_H_
#else
#define ATTNKIT_KERNELS_PHILOX_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "attnkit/random.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using PhiloxTag = hn::CappedTag<uint64_t, 8>;
using PhiloxVec = hn::Vec<PhiloxTag>;

constexpr int kPhiloxUnroll = 4;  // vectors in flight, which hide the latency of the multiplications
// PhiloxSpan writes whole groups of vectors and may start inside a block, and its readers take whole vectors of
// numbers.
constexpr int64_t kPhiloxPadding = 8 * 8 * kPhiloxUnroll + 64;

// One round's two products. MulEven reads only the low half of each lane, so the high halves of the state hold rubbish.
HWY_INLINE PhiloxVec PhiloxProduct(PhiloxVec multiplier, PhiloxVec word) {
#if HWY_TARGET == HWY_SCALAR
  const uint64_t low = 0xFFFFFFFF;
  return hn::Set(PhiloxTag(), (hn::GetLane(multiplier) & low) * (hn::GetLane(word) & low));
#else
  const hn::Repartition<uint32_t, PhiloxTag> d32;
  return hn::MulEven(hn::BitCast(d32, multiplier), hn::BitCast(d32, word));
#endif
}

// Blocks `index[u]`, one a lane: eight 16-bit numbers each, in order, to out + 8 * Lanes * u.
template <int kVectors>
HWY_INLINE void PhiloxVectors(PhiloxKey key, const PhiloxVec (&index)[kVectors], uint16_t* out) {
  const PhiloxTag d;
  const PhiloxVec multiplier0 = hn::Set(d, uint64_t{0xD2511F53}), multiplier1 = hn::Set(d, uint64_t{0xCD9E8D57});
  const PhiloxVec weyl0 = hn::Set(d, uint64_t{0x9E3779B9}), weyl1 = hn::Set(d, uint64_t{0xBB67AE85});
  PhiloxVec key0 = hn::Set(d, key.seed), key1 = hn::Set(d, key.seed >> 32);
  PhiloxVec c0[kVectors], c1[kVectors], c2[kVectors], c3[kVectors];
#pragma GCC unroll 4
  for (int u = 0; u < kVectors; ++u) {
    c0[u] = index[u];
    c1[u] = hn::ShiftRight<32>(index[u]);
    c2[u] = hn::Set(d, key.stream);
    c3[u] = hn::Set(d, key.stream >> 32);
  }
  for (int round = 0; round < 10; ++round) {
#pragma GCC unroll 4
    for (int u = 0; u < kVectors; ++u) {
      const PhiloxVec p0 = PhiloxProduct(multiplier0, c0[u]), p1 = PhiloxProduct(multiplier1, c2[u]);
      c0[u] = hn::Xor3(hn::ShiftRight<32>(p1), c1[u], key0);
      c2[u] = hn::Xor3(hn::ShiftRight<32>(p0), c3[u], key1);
      c1[u] = p1;
      c3[u] = p0;
    }
    key0 = hn::Add(key0, weyl0);
    key1 = hn::Add(key1, weyl1);
  }
  const PhiloxVec low = hn::Set(d, uint64_t{0xFFFFFFFF});
  uint64_t* words = reinterpret_cast<uint64_t*>(out);
#pragma GCC unroll 4
  for (int u = 0; u < kVectors; ++u) {
    const PhiloxVec first = hn::Or(hn::And(c0[u], low), hn::ShiftLeft<32>(c1[u]));
    const PhiloxVec second = hn::Or(hn::And(c2[u], low), hn::ShiftLeft<32>(c3[u]));
    hn::StoreInterleaved2(first, second, d, words + 2 * hn::Lanes(d) * u);
  }
}

// The numbers of elements first .. first + count - 1. `scratch`, 64-byte aligned, has room for count + kPhiloxPadding
// numbers; the result points into it, and whole vectors may be read from it beyond the last element.
inline const uint16_t* PhiloxSpan(PhiloxKey key, uint64_t first, int64_t count, uint16_t* scratch) {
  const PhiloxTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t skip = static_cast<int64_t>(first % 8), blocks = (skip + count + 7) / 8;
  PhiloxVec next = hn::Iota(d, uint64_t{first / 8});
  const PhiloxVec step = hn::Set(d, static_cast<uint64_t>(lanes));
  int64_t block = 0;
  for (; block + (kPhiloxUnroll - 1) * lanes < blocks; block += kPhiloxUnroll * lanes) {
    PhiloxVec index[kPhiloxUnroll];
#pragma GCC unroll 4
    for (auto& vector : index) {
      vector = next;
      next = hn::Add(next, step);
    }
    PhiloxVectors(key, index, scratch + 8 * block);
  }
  for (; block < blocks; block += lanes) {
    const PhiloxVec index[1] = {next};
    next = hn::Add(next, step);
    PhiloxVectors(key, index, scratch + 8 * block);
  }
  return scratch + skip;
}

// The most elements whose numbers are asked for at once.
constexpr int64_t kDropoutChunk = 512;

// Which elements dropout with probability p keeps, and by what it multiplies them.
class DropoutRule {
 public:
  using Floats = hn::ScalableTag<float>;

  explicit DropoutRule(float p)
      : active_(p > 0.0f), threshold_(static_cast<int32_t>(DropoutThreshold(p))), scale_(1.0f / (1.0f - p)) {}

  bool active() const { return active_; }

  // A vector of elements whose numbers start at `numbers`.
  HWY_INLINE hn::Vec<Floats> Apply(hn::Vec<Floats> x, const uint16_t* numbers) const {
    const Floats d;
    const hn::RebindToSigned<Floats> di;
    const hn::Rebind<uint16_t, Floats> d16;
    const auto number = hn::PromoteTo(di, hn::LoadU(d16, numbers));
    const auto kept = hn::Gt(number, hn::Set(di, threshold_ - 1));
    return hn::IfThenElseZero(hn::RebindMask(d, kept), hn::Mul(x, hn::Set(d, scale_)));
  }

 private:
  bool active_;
  int32_t threshold_;
  float scale_;
};

// Numbers for a walk through elements in rising order, a piece of at most kDropoutChunk at a time. They are made in
// larger windows, so that short rows share the vectors.
class DropoutNumbers {
 public:
  static constexpr int64_t kWindow = 4 * kDropoutChunk;

  // No element from `end` on will be asked for.
  DropoutNumbers(PhiloxKey key, int64_t end) : key_(key), end_(end) {}

  const uint16_t* At(int64_t first, int64_t count) {
    if (first < window_begin_ || first + count > window_end_) {
      window_begin_ = first;
      window_end_ = std::min(first + kWindow, end_);
      numbers_ = PhiloxSpan(key_, static_cast<uint64_t>(first), window_end_ - first, scratch_);
    }
    return numbers_ + (first - window_begin_);
  }

 private:
  PhiloxKey key_;
  int64_t end_, window_begin_ = 0, window_end_ = 0;
  const uint16_t* numbers_ = nullptr;
  alignas(64) uint16_t scratch_[kWindow + kPhiloxPadding];
};

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
