// Dropout over flat arrays (Srivastava et al., 2014).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/dropout.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include "attnkit/kernels/elementwise.h"
#include "attnkit/threads.h"
#include "hwy/cache_control.h"
#include "kernels/dispatch.h"
#include "kernels/grain.h"
#include "kernels/philox-inl.h"
#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

// out = residual + dropout(x) for the elements begin .. end - 1; residual may be null.
void DropoutRange(const float* residual, const float* x, int64_t begin, int64_t end, float p, PhiloxKey key,
                  bool stream, float* out) {
  const DropoutRule rule(p);
  DropoutNumbers numbers(key, end);
  for (int64_t first = begin; first < end; first += kDropoutChunk) {
    const int64_t count = std::min(kDropoutChunk, end - first);
    const uint16_t* piece = numbers.At(first, count);
    ForStoredVectors(stream, out + first, count, [=](auto access, int64_t i, int) ATTNKIT_BODY {
      hwy::Prefetch(x + first + i + DropoutNumbers::kWindow);  // memory would be idle while the next numbers are made
      FloatVec y = rule.Apply(access.Load(x + first + i), piece + i);
      if (residual) y = hn::Add(y, access.Load(residual + first + i));
      access.Store(y, out + first + i);
    });
  }
  if (stream) hwy::FlushStream();
}

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {

void Dropout(const float* x, int64_t size, float p, PhiloxKey key, float* out) {
  AddDropout(nullptr, x, size, p, key, out);
}

void AddDropout(const float* residual, const float* x, int64_t size, float p, PhiloxKey key, float* out) {
  auto* kernel = ATTNKIT_DISPATCH(DropoutRange);
  const bool stream = WorthStreaming(1, size);
  ParallelFor(size, 2 * kGrainElements,
              [=](int64_t begin, int64_t end) { kernel(residual, x, begin, end, p, key, stream, out); });
}

}  // namespace attnkit::kernels
#endif
