// Numbers that scale a part of a batch: the channels of an image (the gate of squeeze-and-excitation), the rows of a
// sequence (stochastic depth).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/vision/scaling.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include <cstring>

#include "attnkit/kernels/elementwise.h"
#include "attnkit/kernels/memory.h"
#include "attnkit/kernels/vision.h"
#include "attnkit/threads.h"
#include "kernels/dispatch.h"
#include "kernels/grain.h"
#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

void ScalePixels(const float* x, const float* gate, int64_t pixels, int64_t channels, float* y) {
  for (int64_t p = 0; p < pixels; ++p) {
    const int64_t first = p * channels;
    ForVectors(channels, [=](auto access, int64_t i, int) ATTNKIT_BODY {
      access.Store(hn::Mul(access.Load(x + first + i), access.Load(gate + i)), y + first + i);
    });
  }
}

void SumProducts(const float* x, const float* dy, int64_t pixels, int64_t channels, float* sums) {
  std::memset(sums, 0, channels * sizeof(float));
  for (int64_t p = 0; p < pixels; ++p) {
    const int64_t first = p * channels;
    ForVectors(channels, [=](auto access, int64_t i, int) ATTNKIT_BODY {
      access.Store(hn::MulAdd(access.Load(x + first + i), access.Load(dy + first + i), access.Load(sums + i)),
                   sums + i);
    });
  }
}

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {

void ScaleChannels(const float* x, const float* gate, int64_t images, int64_t pixels, int64_t channels, float* y) {
  auto* kernel = ATTNKIT_DISPATCH(ScalePixels);
  ParallelFor(images, RowGrain(pixels * channels), [=](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const int64_t first = b * pixels * channels;
      kernel(x + first, gate + b * channels, pixels, channels, y + first);
    }
  });
}

void ScaleChannelsGateGradient(const float* x, const float* dy, int64_t images, int64_t pixels, int64_t channels,
                               float* dgate) {
  auto* kernel = ATTNKIT_DISPATCH(SumProducts);
  ParallelFor(images, RowGrain(pixels * channels), [=](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const int64_t first = b * pixels * channels;
      kernel(x + first, dy + first, pixels, channels, dgate + b * channels);
    }
  });
}

void AddScaledSequences(const float* residual, const float* x, const int32_t* offsets, const float* scale,
                        int64_t sequences, int64_t columns, float* out) {
  ParallelFor(sequences, 1, [=](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const int64_t first = offsets[b] * columns, size = (offsets[b + 1] - offsets[b]) * columns;
      if (residual) {
        Copy(residual + first, size, out + first);
        if (scale[b] != 0.0f) Axpy(scale[b], x + first, size, out + first);
      } else {
        Scale(x + first, scale[b], 0.0f, size, out + first);
      }
    }
  });
}

}  // namespace attnkit::kernels
#endif
