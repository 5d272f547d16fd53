// Windows over images, read as rows of a matrix that is never stored: what convolution and its gradients share.
#pragma once

#include <cstdint>
#include <vector>

namespace attnkit::kernels::vision {

// Output o reads the inputs o * step + shift + t for t < taps; those outside [0, size) are zeros.
struct Reach {
  int64_t size, outputs, taps, step, shift;

  int64_t begin(int64_t output) const { return output * step + shift; }
  int64_t span(int64_t count) const { return (count - 1) * step + taps; }  // inputs that `count` outputs read
  bool inside() const { return shift >= 0 && begin(outputs - 1) + taps <= size; }
};

// `channels` channels of a batch of images, `pixel` numbers from one pixel to the next, under a window. An output sees
// depth() numbers, in the order (row tap, column tap, channel).
struct SlidingView {
  const float* x;
  int64_t pixel, channels;
  Reach rows, columns;

  const float* image(int64_t b) const { return x + b * rows.size * columns.size * pixel; }
  int64_t run() const { return columns.taps * channels; }  // numbers of one row tap
  int64_t depth() const { return rows.taps * run(); }
  int64_t outputs() const { return rows.outputs * columns.outputs; }
  // Are the numbers of one row tap consecutive in memory?
  bool consecutive() const { return channels == pixel || columns.taps == 1; }
};

// Columns [first, first + count) of the matrix, for any range of its rows.
class WindowColumns {
 public:
  WindowColumns(const SlidingView& view, int64_t first, int64_t count);
  // Rows [row, row + rows) of the matrix, which are the outputs of all images in order, to rows of `to`.
  void Copy(int64_t row, int64_t rows, float* to, int64_t to_row) const;

  // Rows of the matrix that lie in one image row, `step` numbers apart.
  struct Stretch {
    const float* data;
    int64_t rows, step;
  };
  // Are the columns of a row of the matrix consecutive in memory?
  bool consecutive() const { return segments_.size() == 1; }
  // The rows from `row` on, at most `rows`, that lie so; none where the columns are not consecutive or `row` reads what
  // is outside of its image.
  Stretch InPlace(int64_t row, int64_t rows) const;

 private:
  // Numbers that lie together in one image row, `offset` behind the first pixel of the window.
  struct Segment {
    int64_t tap, offset, length, column;
  };
  void CopyLine(const Segment& segment, int64_t line, int64_t ox, int64_t count, float* to, int64_t to_row) const;

  const SlidingView& view_;
  std::vector<Segment> segments_;
};

}  // namespace attnkit::kernels::vision
