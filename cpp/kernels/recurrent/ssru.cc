// The simpler simple recurrent unit: every number of the state runs through a sentence alone, so that vectors of the
// state are walked, in any order, by any thread.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/recurrent/ssru.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include "attnkit/kernels/recurrent.h"
#include "attnkit/threads.h"
#include "kernels/dispatch.h"
#include "kernels/grain.h"
#include "kernels/math-inl.h"
#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

// A pass over numbers [begin, end) of the state of sentence b. One vector at a time goes through all tokens: its cell
// stays in a register.
void SsruForwardPart(const SsruForwardCall& s, int64_t b, int64_t begin, int64_t end) {
  const int64_t h = s.shape.hidden, first = s.shape.offsets[b], last = s.shape.offsets[b + 1];
  ForVectors<1>(end - begin, [&](auto access, int64_t i, int) ATTNKIT_BODY {
    const Floats d;
    const int64_t at = begin + i;
    const FloatVec bias = access.Load(s.bias + at);
    FloatVec cell = s.initial ? access.Load(s.initial + b * h + at) : hn::Zero(d);
    for (int64_t t = first; t < last; ++t) {
      const FloatVec forget = FastSigmoid(d, hn::Add(access.Load(s.projected + 2 * t * h + at), bias));
      const FloatVec candidate = access.Load(s.projected + (2 * t + 1) * h + at);
      cell = hn::MulAdd(forget, hn::Sub(cell, candidate), candidate);
      access.Store(hn::Max(cell, hn::Zero(d)), s.output + t * h + at);
      if (s.forget) access.Store(forget, s.forget + t * h + at);
      if (s.cells) access.Store(cell, s.cells + t * h + at);
    }
    if (s.final) access.Store(cell, s.final + b * h + at);
  });
}

void SsruBackwardPart(const SsruBackwardCall& s, int64_t b, int64_t begin, int64_t end) {
  const int64_t h = s.shape.hidden, first = s.shape.offsets[b], last = s.shape.offsets[b + 1];
  ForVectors<1>(end - begin, [&](auto access, int64_t i, int) ATTNKIT_BODY {
    const Floats d;
    const FloatVec zero = hn::Zero(d);
    const int64_t at = begin + i;
    const auto before = [&](const float* initial)
                            ATTNKIT_BODY { return initial ? access.Load(initial + b * h + at) : zero; };
    FloatVec later = before(s.dfinal);  // what reaches the cell from the tokens behind
    for (int64_t t = last - 1; t >= first; --t) {
      const FloatVec forget = access.Load(s.forget + t * h + at);
      const FloatVec candidate = access.Load(s.projected + (2 * t + 1) * h + at);
      const FloatVec cell = access.Load(s.cells + t * h + at);
      const FloatVec previous = t > first ? access.Load(s.cells + (t - 1) * h + at) : before(s.initial);
      const FloatVec dh = s.doutput ? access.Load(s.doutput + t * h + at) : zero;
      const FloatVec dcell = hn::Add(later, hn::IfThenElseZero(hn::Gt(cell, zero), dh));
      later = hn::Mul(dcell, forget);
      const FloatVec dforget = hn::Mul(dcell, hn::Sub(previous, candidate));
      access.Store(hn::Mul(dforget, hn::NegMulAdd(forget, forget, forget)), s.dprojected + 2 * t * h + at);
      access.Store(hn::Sub(dcell, later), s.dprojected + (2 * t + 1) * h + at);
    }
    if (s.dinitial) access.Store(later, s.dinitial + b * h + at);
  });
}

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {
namespace {

// Whole cache lines of the state a task, as many as are worth a thread.
template <class Kernel, class Call>
void WalkParts(Kernel* kernel, const Call& call) {
  constexpr int64_t kPart = 64, kOperations = 8;  // numbers of the state; of one of them at a token
  const SsruShape& shape = call.shape;
  const int64_t parts = (shape.hidden + kPart - 1) / kPart, tasks = shape.batch * parts;
  if (tasks == 0) return;
  const int64_t size = kOperations * (shape.tokens() / shape.batch + 1) * kPart;
  ParallelFor(tasks, RowGrain(size), [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = task % parts * kPart;
      kernel(call, task / parts, first, std::min(first + kPart, shape.hidden));
    }
  });
}

}  // namespace

void SsruForward(const SsruForwardCall& call) { WalkParts(ATTNKIT_DISPATCH(SsruForwardPart), call); }
void SsruBackward(const SsruBackwardCall& call) { WalkParts(ATTNKIT_DISPATCH(SsruBackwardPart), call); }

}  // namespace attnkit::kernels
#endif  // HWY_ONCE
