// Lookup of embeddings, scaled, with positions and dropout; and the scatter of its gradient.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/embedding.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include <array>

#include "attnkit/allocator.h"
#include "attnkit/check.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/threads.h"
#include "kernels/dispatch.h"
#include "kernels/grain.h"
#include "kernels/philox-inl.h"
#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

// out[t] = dropout(scale * weight[ids[t]] + positions[position_ids[t]]) for tokens begin .. end - 1
void EmbeddingRows(const int32_t* ids, int64_t begin, int64_t end, const float* weight, int64_t width, float scale,
                   const float* positions, const int32_t* position_ids, float p, PhiloxKey key, float* out) {
  const Floats d;
  const DropoutRule rule(p);
  DropoutNumbers numbers(key, end * width);
  for (int64_t t = begin; t < end; ++t) {
    const float* row = weight + ids[t] * width;
    const float* position = positions ? positions + position_ids[t] * width : nullptr;
    for (int64_t c = 0; c < width; c += kDropoutChunk) {
      const int64_t count = std::min(kDropoutChunk, width - c), first = t * width + c;
      const uint16_t* piece = rule.active() ? numbers.At(first, count) : nullptr;
      ForVectors(count, [=](auto access, int64_t i, int) ATTNKIT_BODY {
        FloatVec v = hn::Mul(access.Load(row + c + i), hn::Set(d, scale));
        if (position) v = hn::Add(v, access.Load(position + c + i));
        if (piece) v = rule.Apply(v, piece + i);
        access.Store(v, out + first + i);
      });
    }
  }
}

// dtable[ids[t]] += scale * dropout(dout[t]) for t = tokens[0], .. tokens[count - 1], in this order; rising.
void ScatterRows(const int32_t* ids, const int32_t* tokens, int64_t count, const float* dout, int64_t width,
                 float scale, float p, PhiloxKey key, float* dtable) {
  const Floats d;
  const DropoutRule rule(p);
  alignas(64) uint16_t scratch[kDropoutChunk + kPhiloxPadding];
  for (int64_t k = 0; k < count; ++k) {
    const int64_t t = tokens[k];
    float* row = dtable + ids[t] * width;
    for (int64_t c = 0; c < width; c += kDropoutChunk) {
      const int64_t size = std::min(kDropoutChunk, width - c), first = t * width + c;
      const uint16_t* piece = rule.active() ? PhiloxSpan(key, static_cast<uint64_t>(first), size, scratch) : nullptr;
      ForVectors(size, [=](auto access, int64_t i, int) ATTNKIT_BODY {
        FloatVec v = access.Load(dout + first + i);
        if (piece) v = rule.Apply(v, piece + i);
        access.Store(hn::MulAdd(v, hn::Set(d, scale), access.Load(row + c + i)), row + c + i);
      });
    }
  }
}

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {
namespace {

void CheckIds(const char* what, const int32_t* ids, int64_t tokens, int64_t size) {
  for (int64_t t = 0; t < tokens; ++t) {
    ATTNKIT_CHECK(ids[t] >= 0 && ids[t] < size, "[embedding] expected ", what, " in [0, ", size, "), got ", ids[t],
                  " at index ", t);
  }
}

// A row of the table belongs to one bucket, which one thread works through in the order of the tokens: no two threads
// meet, and the sums do not depend on how many there are. Neighbouring ids go to different buckets, as frequent words
// often have neighbouring ids.
void Scatter(const int32_t* ids, const float* dout, int64_t tokens, int64_t width, float scale, float p, PhiloxKey key,
             float* dtable) {
  constexpr int64_t kBuckets = 64;
  std::array<int64_t, kBuckets + 1> starts = {};
  for (int64_t t = 0; t < tokens; ++t) ++starts[ids[t] % kBuckets + 1];
  for (int64_t b = 0; b < kBuckets; ++b) starts[b + 1] += starts[b];
  Buffer<int32_t> order(tokens);
  std::array<int64_t, kBuckets + 1> next = starts;
  for (int64_t t = 0; t < tokens; ++t) order[next[ids[t] % kBuckets]++] = static_cast<int32_t>(t);

  auto* kernel = ATTNKIT_DISPATCH(ScatterRows);
  const int64_t grain = tokens * width < 2 * kGrainElements ? kBuckets : 1;
  ParallelFor(kBuckets, grain, [&](int64_t begin, int64_t end) {
    kernel(ids, order.data() + starts[begin], starts[end] - starts[begin], dout, width, scale, p, key, dtable);
  });
}

}  // namespace

void EmbeddingForward(const int32_t* ids, int64_t tokens, const float* weight, int64_t vocabulary, int64_t width,
                      float scale, const float* positions, const int32_t* position_ids, int64_t max_positions, float p,
                      PhiloxKey key, float* out, bool inside) {
  if (!inside) CheckIds("ids", ids, tokens, vocabulary);
  if (!inside && positions) CheckIds("position ids", position_ids, tokens, max_positions);
  auto* kernel = ATTNKIT_DISPATCH(EmbeddingRows);
  ParallelFor(tokens, RowGrain(width), [=](int64_t begin, int64_t end) {
    kernel(ids, begin, end, weight, width, scale, positions, position_ids, p, key, out);
  });
}

void EmbeddingBackward(const int32_t* ids, const float* dout, int64_t tokens, int64_t vocabulary, int64_t width,
                       float scale, const int32_t* position_ids, int64_t max_positions, float p, PhiloxKey key,
                       float* dweight, float* dpositions, bool inside) {
  if (!inside && dweight) CheckIds("ids", ids, tokens, vocabulary);
  if (!inside && dpositions) CheckIds("position ids", position_ids, tokens, max_positions);
  if (dweight) Scatter(ids, dout, tokens, width, scale, p, key, dweight);
  if (dpositions) Scatter(position_ids, dout, tokens, width, 1.0f, p, key, dpositions);
}

}  // namespace attnkit::kernels
#endif
