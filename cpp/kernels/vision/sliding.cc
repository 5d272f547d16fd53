#include "kernels/vision/sliding.h"

#include <algorithm>
#include <cstring>

namespace attnkit::kernels::vision {

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
  const Reach &down = view_.rows, &across = view_.columns;
  const int64_t line = across.size * view_.pixel;
  int64_t image = row / view_.outputs(), oy = row / across.outputs % down.outputs, ox = row % across.outputs;
  for (int64_t r = 0; r < rows; ++r, to += to_row) {
    const float* x = view_.image(image);
    for (const Segment& s : segments_) {
      const int64_t iy = down.begin(oy) + s.tap, at = across.begin(ox) * view_.pixel + s.offset;
      const int64_t begin = std::clamp<int64_t>(at, 0, line), end = std::clamp<int64_t>(at + s.length, 0, line);
      float* target = to + s.column;
      if (iy < 0 || iy >= down.size || begin >= end) {
        std::fill_n(target, s.length, 0.0f);
        continue;
      }
      std::fill_n(target, begin - at, 0.0f);
      std::memcpy(target + (begin - at), x + iy * line + begin, (end - begin) * sizeof(float));
      std::fill(target + (end - at), target + s.length, 0.0f);
    }
    if (++ox < across.outputs) continue;
    ox = 0;
    if (++oy < down.outputs) continue;
    oy = 0;
    ++image;
  }
}

}  // namespace attnkit::kernels::vision
