// Where a window that slides over an image meets it, for one axis.
#pragma once

#include <cstdint>

#include "attnkit/kernels/vision.h"
#include "cuda/runtime.h"

namespace attnkit::cuda {

// kernels::WindowAxis for the device.
struct SlidingAxis {
  int64_t size, outputs, kernel, stride, padding;

  SlidingAxis(const kernels::WindowAxis& axis)  // NOLINT: it is the same
      : size(axis.size), outputs(axis.outputs()), kernel(axis.kernel), stride(axis.stride), padding(axis.padding) {}

  // The taps [first, end) of output o that lie inside of the image; tap t sees input Begin(o) + t.
  __device__ int64_t Begin(int64_t o) const { return o * stride - padding; }
  __device__ int64_t FirstTap(int64_t o) const { return Begin(o) < 0 ? -Begin(o) : 0; }
  __device__ int64_t EndTap(int64_t o) const { return size - Begin(o) < kernel ? size - Begin(o) : kernel; }

  // The outputs [first, last] whose windows hold input i, which is tap i + padding - o * stride of output o. None:
  // first > last.
  __device__ int64_t LastOutput(int64_t i) const {
    const int64_t last = (i + padding) / stride;
    return last < outputs ? last : outputs - 1;
  }
  __device__ int64_t FirstOutput(int64_t i) const {
    const int64_t before = i + padding - kernel;  // the last input in front of the windows that begin too early
    return before < 0 ? 0 : before / stride + 1;
  }
  __device__ int64_t Tap(int64_t i, int64_t o) const { return i + padding - o * stride; }
};

// Number i of images [batch, rows, columns, channels].
struct Spot {
  int64_t image, row, column, channel;
  __device__ Spot(int64_t i, int64_t rows, int64_t columns, int64_t channels) {
    channel = i % channels, i /= channels;
    column = i % columns, i /= columns;
    row = i % rows, image = i / rows;
  }
};

}  // namespace attnkit::cuda
