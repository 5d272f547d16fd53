// Ragged rows of scores to weights: softmax within a window, and the Gaussian around a predicted centre.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ragged/softmax.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include <limits>

#include "attnkit/kernels/ragged.h"
#include "kernels/dispatch.h"
#include "kernels/math-inl.h"
#include "kernels/ragged/walk.h"
#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

HWY_INLINE void SoftmaxRow(const float* x, int64_t count, float* y) {
  const Floats d;
  const FloatVec lowest = hn::Set(d, -std::numeric_limits<float>::infinity());
  FloatSlots largest(-std::numeric_limits<float>::infinity()), sum(0.0f);
  ForVectors(count, [&](auto access, int64_t i, int slot) ATTNKIT_BODY {
    largest.v[slot] = hn::Max(largest.v[slot], access.Fill(access.Load(x + i), lowest));
  });
  const float maximum = largest.Largest();
  // A row of -inf is shifted by nothing: -inf - -inf would be NaN.
  const FloatVec shift = hn::Set(d, maximum == -std::numeric_limits<float>::infinity() ? 0.0f : maximum);
  ForVectors(count, [&](auto access, int64_t i, int slot) ATTNKIT_BODY {
    const FloatVec e = FastExp(d, hn::Sub(access.Load(x + i), shift));
    access.Store(e, y + i);
    sum.v[slot] = hn::Add(sum.v[slot], access.ZeroRest(e));
  });
  const float total = sum.Sum();
  const FloatVec scale = hn::Set(d, total > 0.0f ? 1.0f / total : 0.0f);
  ForVectors(count, [=](auto access, int64_t i, int)
                        ATTNKIT_BODY { access.Store(hn::Mul(access.Load(y + i), scale), y + i); });
}

void SoftmaxRows(const RaggedShape& shape, int64_t begin, int64_t end, const float* scores, float* weights) {
  for (PairWalk q(shape, begin, end); q; q.Next()) {
    ZeroUnread(q, weights);
    SoftmaxRow(scores + q.pairs + q.from, q.to - q.from, weights + q.pairs + q.from);
  }
}

// dscores = weights (dweights - weights . dweights)
void SoftmaxBackwardRows(const RaggedShape& shape, int64_t begin, int64_t end, const float* weights,
                         const float* dweights, float* dscores) {
  for (PairWalk q(shape, begin, end); q; q.Next()) {
    const float *y = weights + q.pairs + q.from, *dy = dweights + q.pairs + q.from;
    float* dx = dscores + q.pairs + q.from;
    ZeroUnread(q, dscores);
    FloatSlots sum(0.0f);
    ForVectors(q.to - q.from, [&](auto access, int64_t i, int slot) ATTNKIT_BODY {
      sum.v[slot] = hn::MulAdd(access.Load(y + i), access.Load(dy + i), sum.v[slot]);
    });
    const FloatVec mean = hn::Set(Floats(), sum.Sum());
    ForVectors(q.to - q.from, [=](auto access, int64_t i, int) ATTNKIT_BODY {
      access.Store(hn::Mul(access.Load(y + i), hn::Sub(access.Load(dy + i), mean)), dx + i);
    });
  }
}

// Calls body(access, i, distance, bell) for the vectors of what a row reads, i counted from its first pair: j - centre,
// and exp(-distance^2 / (2 sigma^2)).
template <class Body>
HWY_INLINE void ForBell(const QueryWalk& q, float centre, float sigma, const Body& body) {
  const Floats d;
  const FloatVec exponent = hn::Set(d, -0.5f / (sigma * sigma));
  ForVectors<1>(q.to - q.from, [=, from = q.from](auto access, int64_t offset, int) ATTNKIT_BODY {
    const int64_t i = from + offset;
    const FloatVec distance = hn::Sub(hn::Iota(d, static_cast<float>(i)), hn::Set(d, centre));
    body(access, i, distance, FastExp(d, hn::Mul(hn::Mul(distance, distance), exponent)));
  });
}

void GaussianRows(const RaggedShape& shape, int64_t begin, int64_t end, const float* weights, const float* centres,
                  float sigma, float* out) {
  for (QueryWalk q(shape, begin, end); q; q.Next()) {
    ZeroUnread(q, out);
    ForBell(q, centres[q.row], sigma, [=](auto access, int64_t i, FloatVec, FloatVec bell) ATTNKIT_BODY {
      access.Store(hn::Mul(access.Load(weights + q.pairs + i), bell), out + q.pairs + i);
    });
  }
}

void GaussianBackwardRows(const RaggedShape& shape, int64_t begin, int64_t end, const float* weights,
                          const float* centres, float sigma, const float* dout, float* dweights, float* dcentres) {
  for (QueryWalk q(shape, begin, end); q; q.Next()) {
    FloatVec sum = hn::Zero(Floats());
    ZeroUnread(q, dweights);
    ForBell(q, centres[q.row], sigma, [&](auto access, int64_t i, FloatVec distance, FloatVec bell) ATTNKIT_BODY {
      const FloatVec dweight = hn::Mul(access.Load(dout + q.pairs + i), bell);
      access.Store(dweight, dweights + q.pairs + i);
      sum = hn::MulAdd(hn::Mul(dweight, access.Load(weights + q.pairs + i)), distance, sum);
    });
    dcentres[q.row] = SumLanes(sum) / (sigma * sigma);
  }
}

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {

void RaggedSoftmax(const RaggedShape& shape, const float* scores, float* weights) {
  auto* kernel = ATTNKIT_DISPATCH(SoftmaxRows);
  ParallelQueries(shape, 1, [&](int64_t begin, int64_t end) { kernel(shape, begin, end, scores, weights); });
}

void RaggedSoftmaxBackward(const RaggedShape& shape, const float* weights, const float* dweights, float* dscores) {
  auto* kernel = ATTNKIT_DISPATCH(SoftmaxBackwardRows);
  ParallelQueries(shape, 1, [&](int64_t begin, int64_t end) { kernel(shape, begin, end, weights, dweights, dscores); });
}

void RaggedGaussian(const RaggedShape& shape, const float* weights, const float* centres, float sigma, float* out) {
  auto* kernel = ATTNKIT_DISPATCH(GaussianRows);
  ParallelQueries(shape, 1,
                  [&](int64_t begin, int64_t end) { kernel(shape, begin, end, weights, centres, sigma, out); });
}

void RaggedGaussianBackward(const RaggedShape& shape, const float* weights, const float* centres, float sigma,
                            const float* dout, float* dweights, float* dcentres) {
  auto* kernel = ATTNKIT_DISPATCH(GaussianBackwardRows);
  ParallelQueries(shape, 1, [&](int64_t begin, int64_t end) {
    kernel(shape, begin, end, weights, centres, sigma, dout, dweights, dcentres);
  });
}

}  // namespace attnkit::kernels
#endif
