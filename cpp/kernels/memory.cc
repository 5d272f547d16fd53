#include "attnkit/kernels/memory.h"

#include <algorithm>
#include <cstring>

#include "attnkit/kernels/elementwise.h"
#include "attnkit/threads.h"
#include "kernels/axes.h"
#include "kernels/bfloat16.h"
#include "kernels/grain.h"

namespace attnkit::kernels {
namespace {

// A piece of what only moves: memory gives some 10 GB/s, so these are some 50 us.
constexpr int64_t kMoved = 4 * kGrainElements;

int64_t RowsOfAPiece(int64_t columns) { return std::max<int64_t>(1, kMoved / std::max<int64_t>(1, columns)); }

void CopyNumbers(const float* x, int64_t size, float* out) {
  if (size > 0) std::memcpy(out, x, size * sizeof(float));
}

void WidenNumbers(const uint16_t* x, int64_t size, float* out) {
  for (int64_t i = 0; i < size; ++i) out[i] = Widened(x[i]);
}

void DequantizeNumbers(const int8_t* x, float scale, int64_t size, float* out) {
  for (int64_t i = 0; i < size; ++i) out[i] = scale * static_cast<float>(x[i]);
}

// Calls move(i) for every row on the threads.
template <typename Move>
void ForRows(int64_t count, int64_t columns, const Move& move) {
  ParallelFor(count, RowsOfAPiece(columns), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) move(i);
  });
}

// The same where rows may meet in one place: each thread has columns of its own, so that all go by in their order.
template <typename Move>
void ForColumns(int64_t count, int64_t columns, const Move& move) {
  constexpr int64_t kFewest = 64;  // numbers, four cache lines: two threads should not share one
  const int64_t piece = kMoved / std::max<int64_t>(1, count);
  ParallelFor(columns, std::max(kFewest, piece / kFewest * kFewest), [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < count; ++i) move(i, begin, end - begin);
  });
}

// A place in some axes that goes on, the last axis first.
class Place {
 public:
  Place(const std::vector<Axis>& axes, int64_t number) : axes_(axes), index_(axes.size()) {
    for (size_t i = axes.size(); i-- > 0; number /= axes[i].size) Move(i, number % axes[i].size);
  }

  int64_t x() const { return x_; }
  int64_t out() const { return out_; }

  void Next() {
    for (size_t i = axes_.size(); i-- > 0;) {
      Move(i, 1);
      if (index_[i] < axes_[i].size) return;
      Move(i, -axes_[i].size);
    }
  }

 private:
  void Move(size_t axis, int64_t steps) {
    index_[axis] += steps;
    x_ += steps * axes_[axis].stride;
    out_ += steps * axes_[axis].out_stride;
  }

  const std::vector<Axis>& axes_;
  std::vector<int64_t> index_;
  int64_t x_ = 0, out_ = 0;
};

int64_t Product(const std::vector<Axis>& axes) {
  int64_t product = 1;
  for (const Axis& axis : axes) product *= axis.size;
  return product;
}

void CopyLine(const float* x, int64_t size, int64_t stride, float* out) {
  if (stride == 1) return CopyNumbers(x, size, out);
  if (stride == 0) {
    std::fill_n(out, size, *x);
    return;
  }
  for (int64_t i = 0; i < size; ++i) out[i] = x[i * stride];
}

void CopyLines(const float* x, std::vector<Axis> axes, float* out) {
  const Axis line = axes.back();
  axes.pop_back();
  ParallelFor(Product(axes), RowsOfAPiece(line.size), [&](int64_t begin, int64_t end) {
    Place place(axes, begin);
    for (int64_t row = begin; row < end; ++row, place.Next()) {
      CopyLine(x + place.x(), line.size, line.stride, out + place.out());
    }
  });
}

constexpr int64_t kSide = 16;   // of a tile: a cache line of numbers
constexpr int64_t kBand = 128;  // numbers that are read side by side before the next column: eight lines of a page

// A tile of a matrix that is transposed. It goes through a square of its own, so that each line of x and out is
// fetched once: lines a power of two apart would drive each other out of the first cache.
void TransposeTile(const float* x, int64_t x_stride, int64_t rows, int64_t columns, float* out, int64_t out_stride) {
  float tile[kSide][kSide];
  for (int64_t c = 0; c < columns; ++c) {
    for (int64_t r = 0; r < rows; ++r) tile[r][c] = x[c * x_stride + r];
  }
  for (int64_t r = 0; r < rows; ++r) CopyNumbers(tile[r], columns, out + r * out_stride);
}

void TransposeBand(const float* x, const Axis& columns, int64_t rows, float* out, int64_t out_stride) {
  for (int64_t c = 0; c < columns.size; c += kSide) {
    for (int64_t r = 0; r < rows; r += kSide) {
      TransposeTile(x + r + c * columns.stride, columns.stride, std::min(kSide, rows - r),
                    std::min(kSide, columns.size - c), out + r * out_stride + c, out_stride);
    }
  }
}

// `across`: the axis that is contiguous in x, while the last one is in out.
void CopyTransposed(const float* x, std::vector<Axis> axes, size_t across, float* out) {
  const Axis columns = axes.back(), rows = axes[across];
  axes.pop_back();
  axes.erase(axes.begin() + static_cast<int64_t>(across));
  const int64_t bands = (rows.size + kBand - 1) / kBand;
  ParallelFor(Product(axes) * bands, RowsOfAPiece(std::min(kBand, rows.size) * columns.size),
              [&](int64_t begin, int64_t end) {
                Place place(axes, begin / bands);
                for (int64_t band = begin; band < end; ++band) {
                  const int64_t first = band % bands * kBand;
                  TransposeBand(x + place.x() + first, columns, std::min(kBand, rows.size - first),
                                out + place.out() + first * rows.out_stride, rows.out_stride);
                  if (band % bands == bands - 1) place.Next();
                }
              });
}

}  // namespace

void Fill(float value, int64_t size, float* out) {
  ParallelFor(size, kMoved, [=](int64_t begin, int64_t end) { std::fill(out + begin, out + end, value); });
}

void Copy(const float* x, int64_t size, float* out) {
  ParallelFor(size, kMoved, [=](int64_t begin, int64_t end) { CopyNumbers(x + begin, end - begin, out + begin); });
}

void CopyRows(const float* x, int64_t x_stride, int64_t rows, int64_t columns, float* out, int64_t out_stride) {
  if (x_stride == columns && out_stride == columns) return Copy(x, rows * columns, out);
  ForRows(rows, columns, [=](int64_t r) { CopyNumbers(x + r * x_stride, columns, out + r * out_stride); });
}

void CopyStrided(const float* x, const std::vector<int64_t>& strides, const std::vector<int64_t>& sizes, float* out) {
  if (std::find(sizes.begin(), sizes.end(), 0) != sizes.end()) return;
  std::vector<Axis> axes = JoinedAxes(strides, sizes);
  if (axes.empty()) axes.push_back({1, 1, 1});
  if (axes.size() == 1 && axes[0].stride <= 1)
    return axes[0].stride ? Copy(x, axes[0].size, out) : Fill(*x, axes[0].size, out);
  const auto across = std::find_if(axes.begin(), axes.end(), [](const Axis& axis) { return axis.stride == 1; });
  if (axes.back().stride <= 1 || across == axes.end()) return CopyLines(x, std::move(axes), out);
  CopyTransposed(x, axes, across - axes.begin(), out);
}

void GatherRows(const float* x, const int32_t* rows, int64_t count, int64_t columns, float* out) {
  ForRows(count, columns, [=](int64_t i) { CopyNumbers(x + rows[i] * columns, columns, out + i * columns); });
}

void ScatterRows(const float* x, const int32_t* rows, int64_t count, int64_t columns, float* out) {
  ForColumns(count, columns, [=](int64_t i, int64_t first, int64_t size) {
    CopyNumbers(x + i * columns + first, size, out + rows[i] * columns + first);
  });
}

void AddToRows(const float* x, const int32_t* rows, int64_t count, int64_t columns, float* out) {
  ForColumns(count, columns, [=](int64_t i, int64_t first, int64_t size) {
    float* target = out + rows[i] * columns + first;
    Add(target, x + i * columns + first, size, target);
  });
}

void FillRows(float value, const int32_t* rows, int64_t count, int64_t columns, float* out) {
  ForRows(count, columns, [=](int64_t i) { std::fill_n(out + rows[i] * columns, columns, value); });
}

void GatherWidened(const uint16_t* x, const int32_t* rows, int64_t count, int64_t columns, float* out) {
  ForRows(count, columns, [=](int64_t i) { WidenNumbers(x + rows[i] * columns, columns, out + i * columns); });
}

void Dequantize(const int8_t* x, const RowMultipliers& multipliers, int64_t rows, int64_t columns, float* out) {
  ForRows(rows, columns, [=](int64_t i) {
    DequantizeNumbers(x + i * columns, 1.0f / multipliers.data[i], columns, out + i * columns);
  });
}

void GatherBytes(const int8_t* x, const int32_t* rows, int64_t count, int64_t columns, int8_t* out) {
  ForRows(count, columns, [=](int64_t i) { std::memcpy(out + i * columns, x + rows[i] * columns, columns); });
}

}  // namespace attnkit::kernels
