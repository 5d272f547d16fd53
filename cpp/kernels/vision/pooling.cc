// Maximum and mean over windows. Every loop writes its targets once and gathers what they meet, so that neither
// direction adds into memory that another thread may write.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/vision/pooling.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include "attnkit/kernels/vision.h"
#include "attnkit/threads.h"
#include "kernels/dispatch.h"
#include "kernels/grain.h"
#include "kernels/vector-inl.h"
#include "kernels/vision/meetings.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {
using vision::Meeting;

// y = the largest of x, taps = where it was; a NaN is the largest, as in PyTorch.
void MaximumPixel(const std::vector<Meeting>& meetings, const float* x, int64_t channels, float* y, float* taps) {
  const Floats d;
  const Meeting* first = meetings.data();
  const Meeting* last = first + meetings.size();
  ForVectors<1>(channels, [=](auto access, int64_t i, int) ATTNKIT_BODY {
    FloatVec best = access.Load(x + first->source + i), place = hn::Set(d, static_cast<float>(first->tap));
    for (const Meeting* m = first + 1; m != last; ++m) {
      const FloatVec v = access.Load(x + m->source + i);
      const auto larger = hn::Or(hn::Gt(v, best), hn::Not(hn::Eq(v, v)));
      best = hn::IfThenElse(larger, v, best);
      place = hn::IfThenElse(larger, hn::Set(d, static_cast<float>(m->tap)), place);
    }
    access.Store(best, y + i);
    if (taps) access.Store(place, taps + i);
  });
}

// dx = the sum of dy over the windows whose maximum this pixel was.
void MaximumGradientPixel(const std::vector<Meeting>& meetings, const float* dy, const float* taps, int64_t channels,
                          float* dx) {
  const Floats d;
  const Meeting* first = meetings.data();
  const Meeting* last = first + meetings.size();
  ForVectors<1>(channels, [=](auto access, int64_t i, int) ATTNKIT_BODY {
    FloatVec sum = hn::Zero(d);
    for (const Meeting* m = first; m != last; ++m) {
      const auto here = hn::Eq(access.Load(taps + m->source + i), hn::Set(d, static_cast<float>(m->tap)));
      sum = hn::Add(sum, hn::IfThenElseZero(here, access.Load(dy + m->source + i)));
    }
    access.Store(sum, dx + i);
  });
}

// y = scale * the sum of x.
void ScaledSumPixel(const std::vector<Meeting>& meetings, const float* x, float scale, int64_t channels, float* y) {
  const Floats d;
  const Meeting* first = meetings.data();
  const Meeting* last = first + meetings.size();
  ForVectors<1>(channels, [=](auto access, int64_t i, int) ATTNKIT_BODY {
    FloatVec sum = hn::Zero(d);
    for (const Meeting* m = first; m != last; ++m) sum = hn::Add(sum, access.Load(x + m->source + i));
    access.Store(hn::Mul(sum, hn::Set(d, scale)), y + i);
  });
}

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {
namespace vision {
namespace {

// Calls body(meetings, offset of the source image, offset of the target pixel) for every target pixel.
template <typename Body>
void ForPixels(const PlaneMeetings& plane, int64_t batch, const Body& body) {
  const int64_t rows = plane.rows.targets(), columns = plane.columns.targets();
  ParallelFor(batch * rows, RowGrain(columns * plane.channels), [&](int64_t begin, int64_t end) {
    std::vector<Meeting> meetings;
    for (int64_t line = begin; line < end; ++line) {
      for (int64_t column = 0; column < columns; ++column) {
        plane.Collect(line % rows, column, meetings);
        body(meetings, line / rows * plane.source_size(), (line * columns + column) * plane.channels);
      }
    }
  });
}

void ScaledSums(const PlaneMeetings& plane, int64_t batch, const float* x, float scale, float* y) {
  auto* kernel = ATTNKIT_DISPATCH(ScaledSumPixel);
  ForPixels(plane, batch, [&](const std::vector<Meeting>& meetings, int64_t source, int64_t target) {
    kernel(meetings, x + source, scale, plane.channels, y + target);
  });
}

float Share(const PoolShape& s) { return 1.0f / static_cast<float>(s.rows.kernel * s.columns.kernel); }

}  // namespace
}  // namespace vision

void MaxPoolForward(const PoolShape& s, const float* x, float* y, float* taps) {
  auto* kernel = ATTNKIT_DISPATCH(MaximumPixel);
  vision::ForPixels(vision::MeetingsOfOutputs(s), s.batch, [&](const auto& meetings, int64_t source, int64_t target) {
    kernel(meetings, x + source, s.channels, y + target, taps ? taps + target : nullptr);
  });
}

void MaxPoolBackward(const PoolShape& s, const float* dy, const float* taps, float* dx) {
  auto* kernel = ATTNKIT_DISPATCH(MaximumGradientPixel);
  vision::ForPixels(vision::MeetingsOfInputs(s), s.batch, [&](const auto& meetings, int64_t source, int64_t target) {
    kernel(meetings, dy + source, taps + source, s.channels, dx + target);
  });
}

void AveragePoolForward(const PoolShape& s, const float* x, float* y) {
  vision::ScaledSums(vision::MeetingsOfOutputs(s), s.batch, x, vision::Share(s), y);
}

void AveragePoolBackward(const PoolShape& s, const float* dy, float* dx) {
  vision::ScaledSums(vision::MeetingsOfInputs(s), s.batch, dy, vision::Share(s), dx);
}

}  // namespace attnkit::kernels
#endif
