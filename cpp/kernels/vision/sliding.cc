#include "kernels/vision/sliding.h"

#include <algorithm>
#include <cstring>

namespace attnkit::kernels::vision {
namespace {

// Few numbers are copied in place: the call would cost more than they do.
inline void CopyNumbers(const float* from, int64_t count, float* to) {
  if (count >= 16) {
    std::memcpy(to, from, count * sizeof(float));
  } else {
    for (int64_t i = 0; i < count; ++i) to[i] = from[i];
  }
}

}  // namespace

WindowColumns::WindowColumns(const SlidingView& view, int64_t first, int64_t count) : view_(view) {
  // Segments end where memory jumps: at the end of a row tap, or of each pixel when channels are left out.
  const int64_t length = view.consecutive() ? view.run() : view.channels;
  for (int64_t begin = first, end = first + count; begin < end;) {
    const int64_t piece = begin / length, next = std::min(end, (piece + 1) * length);
    const int64_t tap = begin / view.run(), in_run = begin % view.run();
    const int64_t offset = view.consecutive() ? in_run : in_run / length * view.pixel + in_run % length;
    segments_.push_back({tap, offset, next - begin, begin - first});
    begin = next;
  }
}

void WindowColumns::Copy(int64_t row, int64_t rows, float* to, int64_t to_row) const {
  const int64_t width = view_.columns.outputs;
  for (int64_t end = row + rows; row < end;) {
    const int64_t ox = row % width, count = std::min(width - ox, end - row);
    for (const Segment& segment : segments_) CopyLine(segment, row / width, ox, count, to + segment.column, to_row);
    row += count;
    to += count * to_row;
  }
}

WindowColumns::Stretch WindowColumns::InPlace(int64_t row, int64_t rows) const {
  if (!consecutive()) return {nullptr, 0, 0};
  const Reach &down = view_.rows, &across = view_.columns;
  const Segment& s = segments_[0];
  const int64_t line = row / across.outputs, ox = row % across.outputs, size = across.size * view_.pixel;
  const int64_t iy = down.begin(line % down.outputs) + s.tap, at = across.begin(ox) * view_.pixel + s.offset;
  if (iy < 0 || iy >= down.size || at < 0 || at + s.length > size) return {nullptr, 0, 0};
  const int64_t step = across.step * view_.pixel, inside = (size - s.length - at) / step + 1;
  return {view_.image(line / down.outputs) + iy * size + at, std::min({rows, across.outputs - ox, inside}), step};
}

// One segment of `count` outputs side by side in output row `line`, which counts through all images.
void WindowColumns::CopyLine(const Segment& s, int64_t line, int64_t ox, int64_t count, float* to,
                             int64_t to_row) const {
  const Reach &down = view_.rows, &across = view_.columns;
  const int64_t iy = down.begin(line % down.outputs) + s.tap, size = across.size * view_.pixel;
  const bool outside = iy < 0 || iy >= down.size;
  const float* from = outside ? nullptr : view_.image(line / down.outputs) + iy * size;
  int64_t at = across.begin(ox) * view_.pixel + s.offset;
  for (const int64_t step = across.step * view_.pixel; count > 0; --count, at += step, to += to_row) {
    if (!outside && at >= 0 && at + s.length <= size) {
      CopyNumbers(from + at, s.length, to);
      continue;
    }
    const int64_t begin = std::clamp<int64_t>(at, 0, size), end = std::clamp<int64_t>(at + s.length, 0, size);
    if (outside || begin >= end) {
      std::fill_n(to, s.length, 0.0f);
      continue;
    }
    std::fill_n(to, begin - at, 0.0f);
    CopyNumbers(from + begin, end - begin, to + (begin - at));
    std::fill(to + (end - at), to + s.length, 0.0f);
  }
}

}  // namespace attnkit::kernels::vision
