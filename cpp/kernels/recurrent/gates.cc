// The gates of the units and their gradients, in one pass over a row.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/recurrent/gates.cc"
#include "hwy/cache_control.h"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include "kernels/dispatch.h"
#include "kernels/math-inl.h"
#include "kernels/recurrent/gates.h"
#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::recurrent::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using namespace kernels::HWY_NAMESPACE;

HWY_INLINE FloatVec One() { return hn::Set(Floats(), 1.0f); }
HWY_INLINE FloatVec Sigmoid(FloatVec x) { return FastSigmoid(Floats(), x); }
HWY_INLINE FloatVec Tanh(FloatVec x) { return FastTanh(Floats(), x); }

// dy times the derivative, given the function's value.
HWY_INLINE FloatVec SigmoidGradient(FloatVec y, FloatVec dy) { return hn::Mul(dy, hn::NegMulAdd(y, y, y)); }
HWY_INLINE FloatVec TanhGradient(FloatVec y, FloatVec dy) { return hn::Mul(dy, hn::NegMulAdd(y, y, One())); }

// The line of a row to come that holds number i, when i is its first; also ahead of stores, which would wait for it.
HWY_INLINE void Fetch(const float* row, int64_t i) {
  constexpr int64_t kLine = 16;
  if (row && i % kLine == 0) hwy::Prefetch(row + i);
}

template <int kGates>
HWY_INLINE void FetchNext(const ForwardRow& next, int64_t i) {
#pragma GCC unroll 4
  for (int64_t gate = 0; gate < kGates; ++gate) {
    Fetch(next.projected + gate * next.hidden, i);
    if (next.gates) Fetch(next.gates + gate * next.hidden, i);
  }
  Fetch(next.output, i);
  Fetch(next.kept, i);
}

template <int kGates>
HWY_INLINE void FetchNext(const BackwardRow& next, int64_t i) {
#pragma GCC unroll 4
  for (int64_t gate = 0; gate < kGates; ++gate) Fetch(next.gates + gate * next.hidden, i);
  Fetch(next.kept, i);
  Fetch(next.doutput, i);
  Fetch(next.previous, i);
}

template <class Access>
HWY_INLINE FloatVec LoadOrZero(const Access& access, const float* from, int64_t i) {
  return from ? access.Load(from + i) : hn::Zero(Floats());
}

template <class Access>
HWY_INLINE void StoreState(const Access& access, FloatVec state, const ForwardRow& row, int64_t i) {
  access.Store(state, row.state + i);
  access.Store(state, row.output + i);
}

// The gradient of h': from the layer above and from the steps behind.
template <class Access>
HWY_INLINE FloatVec StateGradient(const Access& access, const BackwardRow& row, int64_t i) {
  const FloatVec later = access.Load(row.dstate + i);
  return row.doutput ? hn::Add(later, access.Load(row.doutput + i)) : later;
}

template <class Access>
HWY_INLINE void StoreBoth(const Access& access, FloatVec v, float* a, float* b, int64_t i) {
  access.Store(v, a + i);
  access.Store(v, b + i);
}

template <Activation kActivation>
void RnnForward(const ForwardRow& row, const ForwardRow& next) {
  ForVectors<1>(row.hidden, [=, &next](auto access, int64_t i, int) ATTNKIT_BODY {
    FetchNext<1>(next, i);
    const FloatVec pre = hn::Add(access.Load(row.projected + i), access.Load(row.product + i));
    const FloatVec state = Activate<kActivation>(Floats(), pre);
    StoreState(access, state, row, i);
    if (row.gates) access.Store(state, row.gates + i);
  });
}

template <Activation kActivation>
void RnnBackward(const BackwardRow& row, const BackwardRow& next) {
  ForVectors<1>(row.hidden, [=, &next](auto access, int64_t i, int) ATTNKIT_BODY {
    FetchNext<1>(next, i);
    const FloatVec y = access.Load(row.gates + i), dy = StateGradient(access, row, i);
    const FloatVec dpre =
        kActivation == Activation::kTanh ? TanhGradient(y, dy) : hn::IfThenElseZero(hn::Gt(y, hn::Zero(Floats())), dy);
    StoreBoth(access, dpre, row.gates, row.dproduct, i);
  });
}

void LstmForward(const ForwardRow& row, const ForwardRow& next) {
  const int64_t h = row.hidden;
  ForVectors<1>(h, [=, &next](auto access, int64_t i, int) ATTNKIT_BODY {
    FetchNext<4>(next, i);
    const auto pre = [&](int64_t gate) ATTNKIT_BODY {
      return hn::Add(access.Load(row.projected + gate * h + i), access.Load(row.product + gate * h + i));
    };
    const FloatVec in = Sigmoid(pre(0)), forget = Sigmoid(pre(1)), candidate = Tanh(pre(2)), out = Sigmoid(pre(3));
    const FloatVec cell = hn::MulAdd(forget, access.Load(row.cell + i), hn::Mul(in, candidate));
    access.Store(cell, row.cell + i);
    StoreState(access, hn::Mul(out, Tanh(cell)), row, i);
    if (row.gates) {
      access.Store(in, row.gates + i);
      access.Store(forget, row.gates + h + i);
      access.Store(candidate, row.gates + 2 * h + i);
      access.Store(out, row.gates + 3 * h + i);
      access.Store(cell, row.kept + i);
    }
  });
}

void LstmBackward(const BackwardRow& row, const BackwardRow& next) {
  const int64_t h = row.hidden;
  ForVectors<1>(h, [=, &next](auto access, int64_t i, int) ATTNKIT_BODY {
    FetchNext<4>(next, i);
    const FloatVec in = access.Load(row.gates + i), forget = access.Load(row.gates + h + i);
    const FloatVec candidate = access.Load(row.gates + 2 * h + i), out = access.Load(row.gates + 3 * h + i);
    const FloatVec bounded = Tanh(access.Load(row.kept + i)), dstate = StateGradient(access, row, i);
    const FloatVec dcell = hn::Add(access.Load(row.dcell + i), TanhGradient(bounded, hn::Mul(dstate, out)));
    const auto store = [&](FloatVec v, int64_t gate)
                           ATTNKIT_BODY { StoreBoth(access, v, row.gates + gate * h, row.dproduct + gate * h, i); };
    store(SigmoidGradient(in, hn::Mul(dcell, candidate)), 0);
    store(SigmoidGradient(forget, hn::Mul(dcell, LoadOrZero(access, row.previous, i))), 1);
    store(TanhGradient(candidate, hn::Mul(dcell, in)), 2);
    store(SigmoidGradient(out, hn::Mul(dstate, bounded)), 3);
    access.Store(hn::Mul(dcell, forget), row.dcell + i);
  });
}

void GruForward(const ForwardRow& row, const ForwardRow& next) {
  const int64_t h = row.hidden;
  ForVectors<1>(h, [=, &next](auto access, int64_t i, int) ATTNKIT_BODY {
    FetchNext<3>(next, i);
    const auto pre = [&](int64_t gate) ATTNKIT_BODY {
      return hn::Add(access.Load(row.projected + gate * h + i), access.Load(row.product + gate * h + i));
    };
    const FloatVec reset = Sigmoid(pre(0)), update = Sigmoid(pre(1)), product = access.Load(row.product + 2 * h + i);
    const FloatVec candidate = Tanh(hn::MulAdd(reset, product, access.Load(row.projected + 2 * h + i)));
    StoreState(access, hn::MulAdd(update, hn::Sub(access.Load(row.state + i), candidate), candidate), row, i);
    if (row.gates) {
      access.Store(reset, row.gates + i);
      access.Store(update, row.gates + h + i);
      access.Store(candidate, row.gates + 2 * h + i);
      access.Store(product, row.kept + i);
    }
  });
}

void GruBackward(const BackwardRow& row, const BackwardRow& next) {
  const int64_t h = row.hidden;
  ForVectors<1>(h, [=, &next](auto access, int64_t i, int) ATTNKIT_BODY {
    FetchNext<3>(next, i);
    const FloatVec reset = access.Load(row.gates + i), update = access.Load(row.gates + h + i);
    const FloatVec candidate = access.Load(row.gates + 2 * h + i), product = access.Load(row.kept + i);
    const FloatVec dstate = StateGradient(access, row, i),
                   difference = hn::Sub(LoadOrZero(access, row.previous, i), candidate);
    const FloatVec dcandidate = TanhGradient(candidate, hn::NegMulAdd(dstate, update, dstate));
    StoreBoth(access, SigmoidGradient(reset, hn::Mul(dcandidate, product)), row.gates, row.dproduct, i);
    StoreBoth(access, SigmoidGradient(update, hn::Mul(dstate, difference)), row.gates + h, row.dproduct + h, i);
    access.Store(dcandidate, row.gates + 2 * h + i);
    StoreBoth(access, hn::Mul(dcandidate, reset), row.kept, row.dproduct + 2 * h, i);
    access.Store(hn::Mul(dstate, update), row.dstate + i);
  });
}

GateFunctions Choose(RecurrentCell cell) {
  switch (cell) {
    case RecurrentCell::kRnnTanh: return {&RnnForward<Activation::kTanh>, &RnnBackward<Activation::kTanh>};
    case RecurrentCell::kRnnRelu: return {&RnnForward<Activation::kRelu>, &RnnBackward<Activation::kRelu>};
    case RecurrentCell::kLstm: return {&LstmForward, &LstmBackward};
    case RecurrentCell::kGru: return {&GruForward, &GruBackward};
  }
  return {};
}

}  // namespace attnkit::kernels::recurrent::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels::recurrent {

GateFunctions GateFunctionsFor(RecurrentCell cell) {
  auto* choose = ATTNKIT_DISPATCH(Choose);
  return choose(cell);
}

}  // namespace attnkit::kernels::recurrent
#endif  // HWY_ONCE
