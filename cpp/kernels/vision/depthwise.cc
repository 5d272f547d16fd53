// Depthwise convolution: one filter a channel, so vectors run along channels and no product of matrices is to be had.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/vision/depthwise.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include <algorithm>

#include "attnkit/allocator.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/kernels/vision.h"
#include "attnkit/threads.h"
#include "kernels/dispatch.h"
#include "kernels/gemm/kernel.h"
#include "kernels/grain.h"
#include "kernels/vector-inl.h"
#include "kernels/vision/meetings.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {
using vision::Meeting;

// One pixel of y: bias + the sum over its meetings of x times the tap's filter; weight [taps, channels].
void FilterPixel(const std::vector<Meeting>& meetings, const float* x, const float* weight, const float* bias,
                 int64_t channels, float* y) {
  const Meeting* first = meetings.data();
  const Meeting* last = first + meetings.size();
  ForVectors<1>(channels, [=](auto access, int64_t i, int) ATTNKIT_BODY {
    FloatVec sum = bias ? access.Load(bias + i) : hn::Zero(Floats());
    for (const Meeting* m = first; m != last; ++m) {
      sum = hn::MulAdd(access.Load(x + m->source + i), access.Load(weight + m->tap * channels + i), sum);
    }
    access.Store(sum, y + i);
  });
}

// dweight [taps, channels] += what the row `meetings` of outputs gives, x and dy being images. The sum of a tap stays
// in a register along the row.
void FilterGradientRow(const Conv2dShape& s, const Meeting* first, const Meeting* last, const float* x, const float* dy,
                       float* dweight) {
  const int64_t channels = s.channels, outputs = s.columns.outputs(), stride = s.columns.stride;
  for (const Meeting* m = first; m != last; ++m) {
    for (int64_t tap = 0; tap < s.columns.kernel; ++tap) {
      const int64_t shift = tap - s.columns.padding;  // output o meets input o * stride + shift
      const int64_t begin = shift < 0 ? (-shift + stride - 1) / stride : 0;
      const int64_t end = shift < s.columns.size ? std::min(outputs, (s.columns.size - 1 - shift) / stride + 1) : 0;
      const float* line = x + (m->source * s.columns.size + shift) * channels;
      float* to = dweight + (m->tap * s.columns.kernel + tap) * channels;
      ForVectors<1>(channels, [=](auto access, int64_t i, int) ATTNKIT_BODY {
        FloatVec sum = access.Load(to + i);
        for (int64_t o = begin; o < end; ++o) {
          sum = hn::MulAdd(access.Load(dy + o * channels + i), access.Load(line + o * stride * channels + i), sum);
        }
        access.Store(sum, to + i);
      });
    }
  }
}

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {
namespace vision {
namespace {

// A matrix [rows, columns] turned.
Buffer<float> Turned(const float* matrix, int64_t rows, int64_t columns) {
  Buffer<float> turned(rows * columns);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) turned[c * rows + r] = matrix[r * columns + c];
  }
  return turned;
}

int64_t Taps(const Conv2dShape& s) { return s.rows.kernel * s.columns.kernel; }

// Every target pixel of a batch: y from x through `weight` [taps, channels].
void Filter(const PlaneMeetings& plane, int64_t batch, const float* x, const float* weight, const Epilogue& epilogue,
            float* y) {
  auto* kernel = ATTNKIT_DISPATCH(FilterPixel);
  const int64_t rows = plane.rows.targets(), columns = plane.columns.targets(), channels = plane.channels;
  float* pre = epilogue.pre_activation ? epilogue.pre_activation : y;
  ParallelFor(batch * rows, RowGrain(columns * channels), [&](int64_t begin, int64_t end) {
    std::vector<Meeting> meetings;
    for (int64_t line = begin; line < end; ++line) {
      const int64_t first = line * columns * channels;
      for (int64_t column = 0; column < columns; ++column) {
        plane.Collect(line % rows, column, meetings);
        kernel(meetings, x + line / rows * plane.source_size(), weight, epilogue.bias, channels,
               pre + first + column * channels);
      }
      if (epilogue.activation != Activation::kNone) {
        gemm::ActivateBlock(epilogue.activation, pre + first, y + first, channels, columns, channels);
      }
    }
  });
}

}  // namespace
}  // namespace vision

void DepthwiseForward(const Conv2dShape& s, const float* x, const float* weight, const Epilogue& epilogue, float* y) {
  const Buffer<float> turned = vision::Turned(weight, s.channels, vision::Taps(s));
  vision::Filter(vision::MeetingsOfOutputs(s), s.batch, x, turned.data(), epilogue, y);
}

void DepthwiseInputGradient(const Conv2dShape& s, const float* dy, const float* weight, float* dx) {
  const Buffer<float> turned = vision::Turned(weight, s.channels, vision::Taps(s));
  vision::Filter(vision::MeetingsOfInputs(s), s.batch, dy, turned.data(), {}, dx);
}

void DepthwiseWeightGradient(const Conv2dShape& s, const float* x, const float* dy, float* dweight) {
  constexpr int64_t kMaxChunks = 64;
  const vision::Meetings rows = vision::Meetings::OfOutputs(s.rows);
  const int64_t height = s.rows.outputs(), line = s.columns.outputs() * s.channels, lines = s.batch * height;
  const int64_t image = s.rows.size * s.columns.size * s.channels, size = vision::Taps(s) * s.channels;
  const int64_t grain = ReductionGrain(lines, line, kMaxChunks), chunks = (lines + grain - 1) / grain;
  Buffer<float> partials(chunks * size), sums(size);
  auto* kernel = ATTNKIT_DISPATCH(FilterGradientRow);
  ParallelFor(lines, grain, [&](int64_t begin, int64_t end) {
    float* partial = partials.data() + begin / grain * size;
    std::fill_n(partial, size, 0.0f);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = i % height;
      kernel(s, rows.begin(row), rows.end(row), x + i / height * image, dy + i * line, partial);
    }
  });
  ColumnSums(partials.data(), chunks, size, size, false, sums.data());
  const Buffer<float> turned = vision::Turned(sums.data(), vision::Taps(s), s.channels);
  std::copy_n(turned.data(), size, dweight);
}

}  // namespace attnkit::kernels
#endif
