// Small helpers over float vectors that every row kernel needs: safe tails, reductions, loops over a row.

#if defined(ATTNKIT_KERNELS_VECTOR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTNKIT_KERNELS_VECTOR_INL_H_
#undef ATTNKIT_KERNELS_VECTOR_INL_H_
#else
#define ATTNKIT_KERNELS_VECTOR_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <utility>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using FloatVec = hn::Vec<Floats>;

HWY_INLINE int64_t FloatLanes() { return static_cast<int64_t>(hn::Lanes(Floats())); }

// Where masked loads and stores cannot fault; elsewhere a tail goes through the stack.
#undef ATTNKIT_MASKED_TAILS
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
#define ATTNKIT_MASKED_TAILS 1
#else
#define ATTNKIT_MASKED_TAILS 0
#endif

// The first `count` lanes from `from`, zeros behind them. Nothing else is read.
HWY_INLINE FloatVec LoadTail(const float* from, int64_t count) {
  const Floats d;
#if ATTNKIT_MASKED_TAILS
  return hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(count)), d, from);
#else
  HWY_ALIGN float lanes[hn::MaxLanes(d)] = {};
  for (int64_t i = 0; i < count; ++i) lanes[i] = from[i];
  return hn::Load(d, lanes);
#endif
}

HWY_INLINE void StoreTail(FloatVec v, int64_t count, float* to) {
  const Floats d;
#if ATTNKIT_MASKED_TAILS
  hn::BlendedStore(v, hn::FirstN(d, static_cast<size_t>(count)), d, to);
#else
  HWY_ALIGN float lanes[hn::MaxLanes(d)];
  hn::Store(v, d, lanes);
  for (int64_t i = 0; i < count; ++i) to[i] = lanes[i];
#endif
}

// v with `fill` in the lanes from `count` on.
HWY_INLINE FloatVec FillTail(FloatVec v, int64_t count, FloatVec fill) {
  return hn::IfThenElse(hn::FirstN(Floats(), static_cast<size_t>(count)), v, fill);
}

HWY_INLINE float SumLanes(FloatVec v) { return hn::GetLane(hn::SumOfLanes(Floats(), v)); }
HWY_INLINE float MaxLane(FloatVec v) { return hn::GetLane(hn::MaxOfLanes(Floats(), v)); }

// How `ForVectors` hands vectors to its body: whole ones, and at the end the first `count` lanes of one.
struct Whole {
  HWY_INLINE FloatVec Load(const float* from) const { return hn::LoadU(Floats(), from); }
  HWY_INLINE void Store(FloatVec v, float* to) const { hn::StoreU(v, Floats(), to); }
  HWY_INLINE FloatVec Fill(FloatVec v, FloatVec) const { return v; }
  HWY_INLINE FloatVec ZeroRest(FloatVec v) const { return v; }
};

struct Partial {
  int64_t count;
  HWY_INLINE FloatVec Load(const float* from) const { return LoadTail(from, count); }
  HWY_INLINE void Store(FloatVec v, float* to) const { StoreTail(v, count, to); }
  HWY_INLINE FloatVec Fill(FloatVec v, FloatVec fill) const { return FillTail(v, count, fill); }
  HWY_INLINE FloatVec ZeroRest(FloatVec v) const { return FillTail(v, count, hn::Zero(Floats())); }
};

#undef ATTNKIT_BODY
// The attributes of a lambda given to ForVectors: its accumulators stay in registers only when it is inlined.
#define ATTNKIT_BODY HWY_ATTR __attribute__((always_inline))

// Calls body(access, begin, slot) for the vectors of [0, size). `slot` counts 0 .. kUnroll-1: accumulators kept one a
// slot are independent chains, which hides the latency of the additions. The tail falls into slot 0.
template <class Body, int... kSlots>
HWY_INLINE void EachSlot(int64_t begin, const Body& body, std::integer_sequence<int, kSlots...>) {
  (body(Whole(), begin + kSlots * FloatLanes(), kSlots), ...);
}

template <int kUnroll = 4, class Body>
HWY_INLINE void ForVectors(int64_t size, const Body& body) {
  const int64_t lanes = FloatLanes();
  int64_t i = 0;
  for (; i + kUnroll * lanes <= size; i += kUnroll * lanes)
    EachSlot(i, body, std::make_integer_sequence<int, kUnroll>());
  for (; i + lanes <= size; i += lanes) body(Whole(), i, 0);
  if (i < size) body(Partial{size - i}, i, 0);
}

// Stores whole vectors past the caches.
struct Streamed : Whole {
  HWY_INLINE void Store(FloatVec v, float* to) const { hn::Stream(v, Floats(), to); }
};

// The same for a body that stores at `to + begin`. When `stream` is set, aligned vectors bypass the caches: an output
// larger than they are would be read from memory before it is overwritten, and would push out what is still of use.
template <class Body>
HWY_INLINE void ForStoredVectors(bool stream, const float* to, int64_t size, const Body& body) {
  if (!stream) return ForVectors(size, body);
  const int64_t lanes = FloatLanes();
  const int64_t past = static_cast<int64_t>(reinterpret_cast<uintptr_t>(to) / sizeof(float)) % lanes;
  const int64_t head = std::min(size, past == 0 ? 0 : lanes - past);
  if (head > 0) body(Partial{head}, 0, 0);
  int64_t i = head;
  for (; i + lanes <= size; i += lanes) body(Streamed(), i, 0);
  if (i < size) body(Partial{size - i}, i, 0);
}

// Four accumulators, one for each slot of ForVectors.
struct FloatSlots {
  FloatVec v[4];
  HWY_INLINE explicit FloatSlots(float initial) {
    for (auto& slot : v) slot = hn::Set(Floats(), initial);
  }
  HWY_INLINE float Sum() const { return SumLanes(hn::Add(hn::Add(v[0], v[1]), hn::Add(v[2], v[3]))); }
  HWY_INLINE float Largest() const { return MaxLane(hn::Max(hn::Max(v[0], v[1]), hn::Max(v[2], v[3]))); }
};

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
