// Convolution as a matrix product over windows that are read where they lie.
//
// The numbers that one row tap contributes to an output are consecutive in a padded image row, and the next output's
// begin a step further. So a padded copy of a few image rows serves as a matrix whose rows overlap and jump from row
// tap to row tap, and no number is copied once per tap. Only very thin windows are copied out.
#include <algorithm>
#include <memory>

#include "attnkit/allocator.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/kernels/vision.h"
#include "attnkit/threads.h"
#include "kernels/gemm/kernel.h"
#include "kernels/vision/count.h"
#include "kernels/vision/sliding.h"

namespace attnkit::kernels {
namespace vision {
namespace {

using gemm::CeilDiv;
using gemm::DepthWords;
using gemm::Kernel;
using gemm::RoundUp;

constexpr int64_t kFewestRunNumbers = 3;      // of a row tap, to be worth the jump to the next
constexpr int64_t kPanelsWords = 128 * 1024;  // words of the weight that stay in the L2 cache while outputs pass
constexpr int64_t kSlack = 16;                // words that packing may write behind its end

// Are windows read from padded rows, each row tap a run of whole words? Else they are copied out.
bool HasRuns(const Kernel& kernel, const SlidingView& view) {
  return view.rows.taps > 0 && view.run() >= kFewestRunNumbers && view.channels % kernel.word == 0 &&
         view.run() % (kernel.word * kernel.depth_unit) == 0;
}

// y = epilogue(windows · weight). Output (oy, ox) of image b lies at b * y_image + oy * y_row + ox * y_pixel.
struct SlidingProduct {
  const Kernel& kernel;
  const SlidingView& view;
  const PackedMatrix& weight;
  float* y;
  float* pre;  // values before the activation, laid out as y; may be null
  int64_t y_image, y_row, y_pixel;
  const float* bias;
  Activation activation;

  bool has_runs = HasRuns(kernel, view);
  int64_t runs = has_runs ? view.rows.taps : 1, words = DepthWords(kernel, view.depth());
};

// Output rows [begin, end) of one image, as rows of words: those of output (oy, ox) and tap t begin at
// base + (oy - begin) * row + ox * column + t * tap.
struct Operand {
  const float* base;
  int64_t row, column, tap;
  Buffer<float> storage;
};

struct OutputRows {
  int64_t image, begin, end;
  int64_t count() const { return end - begin; }
};

Operand ReadInPlace(const SlidingView& view, const OutputRows& out) {
  const int64_t line = view.columns.size * view.pixel;
  const float* base = view.image(out.image) + view.rows.begin(out.begin) * line + view.columns.begin(0) * view.pixel;
  return {base, view.rows.step * line, view.columns.step * view.pixel, line, {}};
}

// Image rows with zeros around them, packed pixel by pixel.
Operand PadRows(const Kernel& kernel, const SlidingView& view, const OutputRows& out) {
  const Reach &down = view.rows, &across = view.columns;
  const int64_t words = view.channels / kernel.word, width = across.span(across.outputs), line = width * words;
  const int64_t step = std::min(down.step, down.taps);  // rows that no window reads are left out
  const int64_t first = down.begin(out.begin), count = (out.count() - 1) * step + down.taps;
  const int64_t left = std::clamp<int64_t>(-across.shift, 0, width);
  const int64_t begin = left + across.shift, pixels = std::clamp<int64_t>(across.size - begin, 0, width - left);
  const bool dense = view.channels == view.pixel;
  Buffer<float> storage(count * line + kSlack);
  for (int64_t r = 0; r < count; ++r) {
    float* to = storage.data() + r * line;
    const int64_t iy = step == down.step ? first + r : first + r / step * down.step + r % step;
    if (iy < 0 || iy >= down.size || pixels == 0) {
      std::fill_n(to, line, 0.0f);
      continue;
    }
    const float* from = view.image(out.image) + (iy * across.size + begin) * view.pixel;
    std::fill_n(to, left * words, 0.0f);
    to += left * words;
    const int64_t rows = dense ? 1 : pixels, depth = dense ? pixels * view.channels : view.channels;
    kernel.pack_a({from, view.pixel, 1}, rows, depth, depth / kernel.word, to, words);
    std::fill(to + pixels * words, storage.data() + (r + 1) * line, 0.0f);
  }
  return {storage.data(), step * line, across.step * words, line, std::move(storage)};
}

// Each output's window, copied out.
Operand CopyWindows(const Kernel& kernel, const SlidingView& view, const OutputRows& out) {
  constexpr int64_t kPackedAtOnce = 64;
  const int64_t width = view.columns.outputs, depth = view.depth(), words = DepthWords(kernel, depth);
  const int64_t first = out.image * view.outputs() + out.begin * width, count = out.count() * width;
  const WindowColumns columns(view, 0, depth);
  Buffer<float> storage(count * words + kSlack);
  if (kernel.reads_rows_in_place) {
    columns.Copy(first, count, storage.data(), words);
  } else {
    Buffer<float> copied(kPackedAtOnce * depth);
    for (int64_t i = 0; i < count; i += kPackedAtOnce) {
      const int64_t rows = std::min(kPackedAtOnce, count - i);
      columns.Copy(first + i, rows, copied.data(), depth);
      kernel.pack_a({copied.data(), depth, 1}, rows, depth, words, storage.data() + i * words, words);
    }
  }
  return {storage.data(), width * words, words, 0, std::move(storage)};
}

Operand ReadRows(const SlidingProduct& p, const OutputRows& out) {
  if (!p.has_runs) return CopyWindows(p.kernel, p.view, out);
  const bool lies_ready =
      p.kernel.reads_rows_in_place && p.view.consecutive() && p.view.rows.inside() && p.view.columns.inside();
  return lies_ready ? ReadInPlace(p.view, out) : PadRows(p.kernel, p.view, out);
}

// `count` outputs from `y` on, y_pixel apart, whose rows of A begin at `a`: one tile of registers high.
void MultiplyTile(const SlidingProduct& p, const Operand& operand, const float* a, int64_t count, int64_t column,
                  int64_t columns, int64_t y) {
  gemm::Ahead nothing;
  gemm::TileCall call;
  call.a = a;
  call.a_row = operand.column;
  call.runs = p.runs;
  call.run_stride = operand.tap;
  call.depth = p.words / call.runs;
  call.b = reinterpret_cast<const float*>(p.weight.data.data()) + column * p.words;
  call.panel_stride = p.kernel.panel * p.words;
  call.c = (p.pre ? p.pre : p.y) + y + column;
  call.c_row = p.y_pixel;
  call.init = p.bias ? p.bias + column : nullptr;
  call.init_row = 0;
  call.rows = count;
  call.columns = columns;
  call.ahead = &nothing;
  p.kernel.tile(call);
  if (p.activation != Activation::kNone || p.pre) {
    gemm::ActivateBlock(p.activation, call.c, p.y + y + column, p.y_pixel, count, columns);
  }
}

// Columns [column, column + columns) of `rows`.
void MultiplyRows(const SlidingProduct& p, const OutputRows& rows, const Operand& operand, int64_t column,
                  int64_t columns) {
  int64_t lines = rows.count(), length = p.view.columns.outputs;
  // Where the next output row follows the last output without a gap, all are one row, and no tile is left thin.
  if (p.runs == 1 && operand.row == length * operand.column && p.y_row == length * p.y_pixel) {
    length *= lines;
    lines = 1;
  }
  const int64_t tiles = CeilDiv(length, p.kernel.rows);
  for (int64_t line = 0; line < lines; ++line) {
    const int64_t y = rows.image * p.y_image + (rows.begin + line) * p.y_row;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t ox = tile * length / tiles, count = (tile + 1) * length / tiles - ox;
      const float* a = operand.base + line * operand.row + ox * operand.column;
      MultiplyTile(p, operand, a, count, column, columns, y + ox * p.y_pixel);
    }
  }
}

// One task. Groups of panels that fit the L2 cache go over all its outputs.
void MultiplyParts(const SlidingProduct& p, const std::vector<OutputRows>& parts) {
  const int64_t panel = p.kernel.panel, n = p.weight.n;
  const int64_t group = std::max(panel, kPanelsWords / std::max<int64_t>(1, p.words) / panel * panel);
  std::vector<Operand> operands;
  for (const OutputRows& part : parts) operands.push_back(ReadRows(p, part));
  if (p.kernel.begin) p.kernel.begin();
  for (int64_t column = 0, columns; column < n; column += columns) {
    columns = std::min(group, n - column);
    if (columns > panel) columns -= columns % panel;  // a narrower last panel goes alone
    for (size_t i = 0; i < parts.size(); ++i) MultiplyRows(p, parts[i], operands[i], column, columns);
  }
  if (p.kernel.end) p.kernel.end();
}

// How many outputs a task gets: enough to be worth a thread and to share the weight, few enough for every thread to
// have some.
int64_t TaskOutputs(const SlidingProduct& p, int64_t batch) {
  constexpr double kTaskFlops = 64e6;
  constexpr int64_t kFewest = 64, kMost = 1024, kTasksPerThread = 2;
  const double flops =
      2.0 * static_cast<double>(std::max<int64_t>(1, p.view.depth())) * static_cast<double>(p.weight.n);
  const int64_t wanted = std::clamp(static_cast<int64_t>(kTaskFlops / flops), kFewest, kMost);
  return std::min(wanted, CeilDiv(batch * p.view.outputs(), kTasksPerThread * ThreadCount()));
}

void Multiply(const SlidingProduct& p, int64_t batch) {
  const int64_t height = p.view.rows.outputs, width = p.view.columns.outputs, outputs = TaskOutputs(p, batch);
  if (batch * p.view.outputs() == 0) return;
  // Whole images together, or parts of one.
  const int64_t images = std::max<int64_t>(1, outputs / p.view.outputs());
  const int64_t rows = std::clamp<int64_t>(CeilDiv(outputs, width), 1, height), parts = CeilDiv(height, rows);
  ParallelFor(CeilDiv(batch, images) * parts, 1, [&](int64_t task, int64_t) {
    const int64_t first = task / parts * images, part = task % parts;
    std::vector<OutputRows> of_task;
    for (int64_t image = first; image < std::min(batch, first + images); ++image) {
      of_task.push_back({image, part * height / parts, (part + 1) * height / parts});
    }
    MultiplyParts(p, of_task);
  });
}

Reach ReachOf(const WindowAxis& axis) { return {axis.size, axis.outputs(), axis.kernel, axis.stride, -axis.padding}; }

SlidingView InputOf(const Conv2dShape& s, const float* x, int64_t group) {
  return {x + group * s.group_channels(), s.channels, s.group_channels(), ReachOf(s.rows), ReachOf(s.columns)};
}

// --- the gradient of the input

// Inputs phase, phase + stride, ... of an axis: each is reached by the outputs of a few taps, which count backwards.
struct Phase {
  Reach outputs;
  int64_t first_tap, stride;
  int64_t tap(int64_t t) const { return first_tap + stride * (outputs.taps - 1 - t); }
};

Phase PhaseOf(const WindowAxis& axis, int64_t phase) {
  const int64_t first = (phase + axis.padding) % axis.stride;
  const int64_t taps = first < axis.kernel ? CeilDiv(axis.kernel - first, axis.stride) : 0;
  const int64_t inputs = CeilDiv(axis.size - phase, axis.stride);
  const int64_t shift = (phase + axis.padding - first) / axis.stride - (taps - 1);
  return {{axis.outputs(), inputs, taps, 1, shift}, first, axis.stride};
}

// The filters of a group, read from outputs to inputs: rows (row tap, column tap, output), columns inputs.
Buffer<float> TurnWeight(const Conv2dShape& s, const Phase& down, const Phase& across, const float* weight) {
  const int64_t in = s.group_channels(), out = s.group_outputs();
  Buffer<float> turned(down.outputs.taps * across.outputs.taps * out * in);
  float* to = turned.data();
  for (int64_t ty = 0; ty < down.outputs.taps; ++ty) {
    for (int64_t tx = 0; tx < across.outputs.taps; ++tx) {
      const float* from = weight + (down.tap(ty) * s.columns.kernel + across.tap(tx)) * in;
      for (int64_t o = 0; o < out; ++o, to += in) std::copy_n(from + o * s.depth(), in, to);
    }
  }
  return turned;
}

// The inputs of one phase and one group.
void InputGradientPhase(const Conv2dShape& s, int64_t group, int64_t row_phase, int64_t column_phase, const float* dy,
                        const float* weight, Precision precision, float* dx) {
  const Phase down = PhaseOf(s.rows, row_phase), across = PhaseOf(s.columns, column_phase);
  const int64_t in = s.group_channels(), out = s.group_outputs();
  const Kernel& kernel = gemm::KernelFor(precision, in);
  const SlidingView view{dy + group * out, s.out_channels, out, down.outputs, across.outputs};
  const Buffer<float> turned = TurnWeight(s, down, across, weight + group * out * s.depth());
  const PackedMatrix packed = PackMatrix(turned.data(), view.depth(), in, in, 1, precision);
  const int64_t pixel = s.columns.stride * s.channels, row = s.rows.stride * s.columns.size * s.channels;
  float* corner = dx + (row_phase * s.columns.size + column_phase) * s.channels + group * in;
  Multiply({kernel, view, packed, corner, nullptr, s.rows.size * s.columns.size * s.channels, row, pixel, nullptr,
            Activation::kNone},
           s.batch);
}

// --- the gradient of the weight

// Columns of the windows of outputs [first, first + count) as one panel of words: packed from where they lie, and at
// the edges of images by way of a copy.
void PackPanel(const Kernel& kernel, const WindowColumns& windows, int64_t first, int64_t count, int64_t columns,
               int64_t width, float* copied, float* to) {
  const int64_t words = DepthWords(kernel, count);
  for (int64_t at = 0, rows; at < count; at += rows) {
    const int64_t left = count - at;
    const WindowColumns::Stretch inside = windows.InPlace(first + at, left);
    gemm::MatrixView from{inside.data, inside.step, 1};
    rows = inside.rows == left ? left : inside.rows / kernel.word * kernel.word;  // whole words
    if (rows == 0) {
      rows = windows.consecutive() ? std::min(kernel.word, left) : left;
      windows.Copy(first + at, rows, copied, kernel.panel);
      from = {copied, kernel.panel, 1};
    }
    const int64_t word = at / kernel.word, end = rows == left ? words : word + rows / kernel.word;
    kernel.pack_b(from, rows, end - word, columns, width, to + word * width);
  }
}

// A stretch of the matrix of windows and a few of its columns, packed as the right-hand side of a product.
void PackWindows(const Kernel& kernel, const SlidingView& view, int64_t first, int64_t count, int64_t column,
                 int64_t columns, float* copied, float* packed) {
  const int64_t words = DepthWords(kernel, count), panel = kernel.panel;
  for (int64_t begin = 0; begin < columns; begin += panel) {
    const int64_t taken = std::min(panel, columns - begin), width = std::min(panel, RoundUp(taken, kernel.lanes));
    float* to = packed + begin * words;
    const WindowColumns windows(view, column + begin, taken);
    if (kernel.reads_rows_in_place) {  // float32: a panel is its rows
      windows.Copy(first, count, to, width);
      for (int64_t r = 0; taken < width && r < count; ++r)
        std::fill(to + r * width + taken, to + (r + 1) * width, 0.0f);
    } else {
      PackPanel(kernel, windows, first, count, taken, width, copied, to);
    }
  }
}

// How the sum over all outputs is cut: into ranges of outputs, each with a sum of its own, and into columns. Depends on
// the shape alone, so the order of the sums does not depend on the number of threads.
struct SumGrid {
  int64_t ranges, blocks, block;  // block: columns of a block, whole panels
};

SumGrid ChooseSumGrid(const Kernel& kernel, int64_t m, int64_t k, int64_t outputs) {
  constexpr int64_t kTasks = 16, kFewestOutputs = 512, kMostNumbers = 4 << 20;  // numbers of all sums together
  const int64_t most = std::min({kTasks, CeilDiv(outputs, kFewestOutputs), kMostNumbers / std::max<int64_t>(1, m * k)});
  const int64_t ranges = std::max<int64_t>(1, most), panels = CeilDiv(k, kernel.panel);
  const int64_t wanted = std::clamp<int64_t>(CeilDiv(kTasks, ranges), 1, panels);
  const int64_t block = CeilDiv(panels, wanted) * kernel.panel;
  return {ranges, CeilDiv(k, block), block};
}

// sum [m, columns] (rows k apart) = the part of outputs [first, end) in columns [column, column + columns) of the
// gradient. The windows are packed a stretch at a time, which stays in the cache.
void SumWindows(const Kernel& kernel, const SlidingView& view, const float* dy, int64_t dy_row, int64_t m,
                int64_t first, int64_t end, int64_t column, int64_t columns, float* sum) {
  constexpr int64_t kPackedNumbers = 96 * 1024, kUnit = 32, kMost = 512;
  const int64_t padded = RoundUp(columns, kernel.lanes);
  const int64_t stretch = std::clamp<int64_t>(kPackedNumbers / padded / kUnit * kUnit, kUnit, kMost);
  Buffer<float> packed(DepthWords(kernel, stretch) * padded), copied(stretch * kernel.panel);
  for (int64_t at = first; at < end; at += stretch) {
    const int64_t count = std::min(stretch, end - at);
    PackWindows(kernel, view, at, count, column, columns, copied.data(), packed.data());
    Epilogue epilogue;
    epilogue.accumulate = at > first;
    gemm::MultiplyAll(kernel, {dy + at * dy_row, 1, dy_row}, packed.data(), m, columns, count, sum, view.depth(),
                      epilogue);
  }
}

// dweight [m, k] of one group, from dy whose pixels lie dy_row apart.
void WeightGradient(const Kernel& kernel, const SlidingView& view, const float* dy, int64_t dy_row, int64_t m,
                    int64_t outputs, float* dweight) {
  const int64_t k = view.depth();
  const SumGrid grid = ChooseSumGrid(kernel, m, k, outputs);
  Buffer<float> sums(grid.ranges > 1 ? grid.ranges * m * k : 0);
  ParallelFor(grid.ranges * grid.blocks, 1, [&](int64_t task, int64_t) {
    const int64_t range = task / grid.blocks, column = task % grid.blocks * grid.block;
    float* sum = grid.ranges > 1 ? sums.data() + range * m * k : dweight;
    SumWindows(kernel, view, dy, dy_row, m, range * outputs / grid.ranges, (range + 1) * outputs / grid.ranges, column,
               std::min(grid.block, k - column), sum + column);
  });
  if (grid.ranges > 1) ColumnSums(sums.data(), grid.ranges, m * k, m * k, false, dweight);
}

}  // namespace
}  // namespace vision

Precision Conv2dForwardPrecision(const Conv2dShape& s, Precision wanted) {
  const bool splits_words = s.group_channels() % gemm::KernelFor(wanted, s.group_outputs()).word != 0;
  return splits_words ? Precision::kFloat32 : wanted;
}

void Conv2dForward(const Conv2dShape& s, const float* x, const std::vector<const PackedMatrix*>& weights,
                   Precision precision, float* y, const Epilogue& epilogue) {
  CountProducts(s, precision);
  const gemm::Kernel& kernel = gemm::KernelFor(precision, s.group_outputs());
  const int64_t row = s.columns.outputs() * s.out_channels, image = s.rows.outputs() * row;
  for (int64_t group = 0; group < s.groups; ++group) {
    const vision::SlidingView view = vision::InputOf(s, x, group);
    const int64_t first = group * s.group_outputs();
    vision::Multiply(
        {kernel, view, *weights[group], y + first, epilogue.pre_activation ? epilogue.pre_activation + first : nullptr,
         image, row, s.out_channels, epilogue.bias ? epilogue.bias + first : nullptr, epilogue.activation},
        s.batch);
  }
}

void Conv2dInputGradient(const Conv2dShape& s, const float* dy, const float* weight, Precision precision, float* dx) {
  CountProducts(s, precision);
  for (int64_t row_phase = 0; row_phase < std::min(s.rows.stride, s.rows.size); ++row_phase) {
    for (int64_t column_phase = 0; column_phase < std::min(s.columns.stride, s.columns.size); ++column_phase) {
      for (int64_t group = 0; group < s.groups; ++group) {
        vision::InputGradientPhase(s, group, row_phase, column_phase, dy, weight, precision, dx);
      }
    }
  }
}

void Conv2dWeightGradient(const Conv2dShape& s, const float* x, const float* dy, Precision precision, float* dweight) {
  CountProducts(s, precision);
  const gemm::Kernel& kernel = gemm::KernelFor(precision, s.depth());
  const int64_t m = s.group_outputs();
  if (s.pixels() == 0) std::fill_n(dweight, s.out_channels * s.depth(), 0.0f);
  for (int64_t group = 0; group < s.groups && s.pixels() > 0; ++group) {
    vision::WeightGradient(kernel, vision::InputOf(s, x, group), dy + group * m, s.out_channels, m, s.pixels(),
                           dweight + group * m * s.depth());
  }
}

}  // namespace attnkit::kernels
