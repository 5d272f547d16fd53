// Which inputs and outputs of a sliding window meet, and at which tap: what pooling and depthwise convolution loop
// over, in either direction.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "attnkit/kernels/vision.h"

namespace attnkit::kernels::vision {

struct Meeting {
  int64_t source, tap;
};

// For each target along one axis, its sources inside the image and their taps, taps rising.
class Meetings {
 public:
  // Targets are outputs, sources inputs.
  static Meetings OfOutputs(const WindowAxis& axis) {
    Meetings all(axis.outputs(), axis.size);
    for (int64_t o = 0; o < axis.outputs(); ++o) {
      const int64_t first = o * axis.stride - axis.padding, end = std::min(axis.kernel, axis.size - first);
      for (int64_t t = std::max<int64_t>(0, -first); t < end; ++t) all.AddIfInside({first + t, t});
      all.NextTarget();
    }
    return all;
  }
  // Targets are inputs, sources outputs.
  static Meetings OfInputs(const WindowAxis& axis) {
    Meetings all(axis.size, axis.outputs());
    for (int64_t i = 0; i < axis.size; ++i) {
      for (int64_t t = (i + axis.padding) % axis.stride; t < axis.kernel && t <= i + axis.padding; t += axis.stride) {
        all.AddIfInside({(i + axis.padding - t) / axis.stride, t});
      }
      all.NextTarget();
    }
    return all;
  }

  int64_t targets() const { return targets_; }
  int64_t sources() const { return sources_; }
  const Meeting* begin(int64_t target) const { return list_.data() + ends_[target]; }
  const Meeting* end(int64_t target) const { return list_.data() + ends_[target + 1]; }

 private:
  Meetings(int64_t targets, int64_t sources) : targets_(targets), sources_(sources), ends_{0} {}
  void AddIfInside(Meeting meeting) {
    if (meeting.source >= 0 && meeting.source < sources_) list_.push_back(meeting);
  }
  void NextTarget() { ends_.push_back(static_cast<int64_t>(list_.size())); }

  int64_t targets_, sources_;
  std::vector<Meeting> list_;
  std::vector<int64_t> ends_;
};

// The same in two dimensions for images of `channels` channels; taps count row by row of the window.
struct PlaneMeetings {
  Meetings rows, columns;
  int64_t kernel_columns, channels;

  int64_t source_size() const { return rows.sources() * columns.sources() * channels; }
  // The meetings of pixel (row, column): sources as offsets into an image.
  void Collect(int64_t row, int64_t column, std::vector<Meeting>& to) const {
    to.clear();
    for (const Meeting* r = rows.begin(row); r != rows.end(row); ++r) {
      for (const Meeting* c = columns.begin(column); c != columns.end(column); ++c) {
        to.push_back({(r->source * columns.sources() + c->source) * channels, r->tap * kernel_columns + c->tap});
      }
    }
  }
};

template <typename Shape>
PlaneMeetings MeetingsOfOutputs(const Shape& s) {
  return {Meetings::OfOutputs(s.rows), Meetings::OfOutputs(s.columns), s.columns.kernel, s.channels};
}

template <typename Shape>
PlaneMeetings MeetingsOfInputs(const Shape& s) {
  return {Meetings::OfInputs(s.rows), Meetings::OfInputs(s.columns), s.columns.kernel, s.channels};
}

}  // namespace attnkit::kernels::vision
