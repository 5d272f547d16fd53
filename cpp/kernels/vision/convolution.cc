// Convolution as matrix products over windows that are read where they lie.
//
// The numbers that one row tap contributes to an output are consecutive in a padded image row, and the next output's
// begin a step further. So a padded copy of a few image rows serves as a matrix whose rows overlap, one product a row
// tap, and nothing is copied once per tap. Windows of few numbers (a first layer's) are copied out instead, so that one
// product takes all taps.
#include <algorithm>
#include <memory>

#include "attnkit/allocator.h"
#include "attnkit/kernels/vision.h"
#include "attnkit/threads.h"
#include "kernels/gemm/kernel.h"
#include "kernels/vision/sliding.h"

namespace attnkit::kernels {
namespace vision {
namespace {

using gemm::CeilDiv;
using gemm::Kernel;
using gemm::RoundUp;

constexpr int64_t kFewestRunNumbers = 64;     // of a row tap, for a product of its own
constexpr int64_t kPanelsWords = 128 * 1024;  // words of the weight that stay in the L2 cache while outputs pass
constexpr int64_t kSlack = 16;                // words that packing may write behind its end

int64_t WordsOf(const Kernel& kernel, int64_t numbers) {
  return RoundUp(CeilDiv(numbers, kernel.word), kernel.depth_unit);
}

// Does each row tap get a product of its own? Its words must then be whole, without padding.
bool HasRuns(const Kernel& kernel, const SlidingView& view) {
  return view.rows.taps > 0 && view.run() >= kFewestRunNumbers && view.channels % kernel.word == 0 &&
         view.run() % (kernel.word * kernel.depth_unit) == 0;
}

// y = epilogue(windows · weight). One packed matrix for each run, or one in all. Output (oy, ox) of image b lies at
// b * y_image + oy * y_row + ox * y_pixel.
struct SlidingProduct {
  const Kernel& kernel;
  const SlidingView& view;
  const PackedMatrix* const* weights;
  bool runs;
  int64_t n;
  float* y;
  float* pre;  // values before the activation, laid out as y; may be null
  int64_t y_image, y_row, y_pixel;
  const float* bias;
  Activation activation;

  int64_t taps() const { return runs ? view.rows.taps : 1; }
  int64_t tap_words() const { return WordsOf(kernel, runs ? view.run() : view.depth()); }
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
  const int64_t first = down.begin(out.begin), count = down.span(out.count());
  const int64_t left = std::clamp<int64_t>(-across.shift, 0, width);
  const int64_t begin = left + across.shift, pixels = std::clamp<int64_t>(across.size - begin, 0, width - left);
  const bool dense = view.channels == view.pixel;
  Buffer<float> storage(count * line + kSlack);
  for (int64_t r = 0; r < count; ++r) {
    float* to = storage.data() + r * line;
    const int64_t iy = first + r;
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
  return {storage.data(), down.step * line, across.step * words, line, std::move(storage)};
}

// Each output's window, copied out.
Operand CopyWindows(const Kernel& kernel, const SlidingView& view, const OutputRows& out) {
  constexpr int64_t kPackedAtOnce = 64;
  const int64_t width = view.columns.outputs, depth = view.depth(), words = WordsOf(kernel, depth);
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
  if (!p.runs) return CopyWindows(p.kernel, p.view, out);
  const bool lies_ready =
      p.kernel.reads_rows_in_place && p.view.consecutive() && p.view.rows.inside() && p.view.columns.inside();
  return lies_ready ? ReadInPlace(p.view, out) : PadRows(p.kernel, p.view, out);
}

// `count` outputs from `y` on, y_pixel apart, whose rows of A begin at `a`: one tile of registers high.
void MultiplyTile(const SlidingProduct& p, const Operand& operand, const float* a, int64_t count, int64_t column,
                  int64_t columns, int64_t y) {
  gemm::Ahead nothing;
  gemm::TileCall call;
  float* c = (p.pre ? p.pre : p.y) + y + column;
  call.a_row = operand.column;
  call.depth = p.tap_words();
  call.panel_stride = p.kernel.panel * call.depth;
  call.c = c;
  call.c_row = p.y_pixel;
  call.rows = count;
  call.columns = columns;
  call.ahead = &nothing;
  for (int64_t t = 0; t < p.taps(); ++t) {
    call.a = a + t * operand.tap;
    call.b = reinterpret_cast<const float*>(p.weights[t]->data.data()) + column * call.depth;
    call.init = t > 0 ? c : p.bias ? p.bias + column : nullptr;
    call.init_row = t > 0 ? p.y_pixel : 0;
    p.kernel.tile(call);
  }
  if (p.activation != Activation::kNone || p.pre) {
    gemm::ActivateBlock(p.activation, c, p.y + y + column, p.y_pixel, count, columns);
  }
}

// Columns [column, column + columns) of `rows`.
void MultiplyRows(const SlidingProduct& p, const OutputRows& rows, const Operand& operand, int64_t column,
                  int64_t columns) {
  int64_t lines = rows.count(), length = p.view.columns.outputs;
  // Where the next output row follows the last output without a gap, all are one row, and no tile is left thin.
  if (p.taps() == 1 && operand.row == length * operand.column && p.y_row == length * p.y_pixel) {
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
  const int64_t panel = p.kernel.panel, words = std::max<int64_t>(1, p.taps() * p.tap_words());
  const int64_t group = std::max(panel, kPanelsWords / words / panel * panel);
  std::vector<Operand> operands;
  for (const OutputRows& part : parts) operands.push_back(ReadRows(p, part));
  if (p.kernel.begin) p.kernel.begin();
  for (int64_t column = 0, columns; column < p.n; column += columns) {
    columns = std::min(group, p.n - column);
    if (columns > panel) columns -= columns % panel;  // a narrower last panel goes alone
    for (size_t i = 0; i < parts.size(); ++i) MultiplyRows(p, parts[i], operands[i], column, columns);
  }
  if (p.kernel.end) p.kernel.end();
}

// How many outputs a task gets: enough to be worth a thread and to share the weight, few enough for every thread to
// have some.
int64_t TaskOutputs(const SlidingProduct& p, int64_t batch) {
  constexpr double kTaskFlops = 16e6;
  constexpr int64_t kFewest = 64, kMost = 1024, kTasksPerThread = 2;
  const double flops = 2.0 * static_cast<double>(std::max<int64_t>(1, p.view.depth())) * static_cast<double>(p.n);
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
  const Kernel& kernel = gemm::KernelFor(precision);
  const Phase down = PhaseOf(s.rows, row_phase), across = PhaseOf(s.columns, column_phase);
  const int64_t in = s.group_channels(), out = s.group_outputs();
  const SlidingView view{dy + group * out, s.out_channels, out, down.outputs, across.outputs};
  const Buffer<float> turned = TurnWeight(s, down, across, weight + group * out * s.depth());
  const bool runs = HasRuns(kernel, view);
  const int64_t blocks = runs ? view.rows.taps : 1, depth = runs ? view.run() : view.depth();
  std::vector<PackedMatrix> packed;
  for (int64_t i = 0; i < blocks; ++i) {
    packed.push_back(PackMatrix(turned.data() + i * depth * in, depth, in, in, 1, precision));
  }
  std::vector<const PackedMatrix*> weights;
  for (const PackedMatrix& matrix : packed) weights.push_back(&matrix);
  const int64_t pixel = s.columns.stride * s.channels, row = s.rows.stride * s.columns.size * s.channels;
  float* corner = dx + (row_phase * s.columns.size + column_phase) * s.channels + group * in;
  Multiply({kernel, view, weights.data(), runs, in, corner, nullptr, s.rows.size * s.columns.size * s.channels, row,
            pixel, nullptr, Activation::kNone},
           s.batch);
}

// --- the gradient of the weight

// A stretch of the matrix of windows, packed as the right-hand side of a product. Panels and pieces of depth are packed
// by different threads.
Buffer<float> PackWindows(const Kernel& kernel, const SlidingView& view, int64_t first, int64_t count) {
  constexpr int64_t kPiece = 256;  // outputs
  const int64_t n = view.depth(), panel = kernel.panel, words = WordsOf(kernel, count);
  const int64_t pieces = CeilDiv(count, kPiece);
  Buffer<float> packed(words * RoundUp(n, kernel.lanes));
  ParallelFor(CeilDiv(n, panel) * pieces, 4, [&](int64_t begin, int64_t end) {
    Buffer<float> copied(kernel.reads_rows_in_place ? 0 : kPiece * panel);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t column = i / pieces * panel, columns = std::min(panel, n - column);
      const int64_t width = std::min(panel, RoundUp(columns, kernel.lanes));
      const int64_t row = i % pieces * kPiece, rows = std::min(kPiece, count - row), word = row / kernel.word;
      float* to = packed.data() + column * words + word * width;
      const WindowColumns windows(view, column, columns);
      if (kernel.reads_rows_in_place) {  // float32: a panel is its rows
        windows.Copy(first + row, rows, to, width);
        for (int64_t r = 0; columns < width && r < rows; ++r) {
          std::fill(to + r * width + columns, to + (r + 1) * width, 0.0f);
        }
      } else {
        windows.Copy(first + row, rows, copied.data(), panel);
        kernel.pack_b({copied.data(), panel, 1}, rows, WordsOf(kernel, rows), columns, width, to);
      }
    }
  });
  return packed;
}

}  // namespace
}  // namespace vision

std::vector<Conv2dWeightBlock> Conv2dWeightBlocks(const Conv2dShape& s, Precision precision) {
  const vision::SlidingView view = vision::InputOf(s, nullptr, 0);
  const bool runs = vision::HasRuns(gemm::KernelFor(precision), view);
  const int64_t parts = runs ? s.rows.kernel : 1, k = s.depth() / parts;
  std::vector<Conv2dWeightBlock> blocks;
  for (int64_t group = 0; group < s.groups; ++group) {
    const int64_t offset = group * s.group_outputs() * s.depth();
    for (int64_t part = 0; part < parts; ++part) blocks.push_back({offset + part * k, k, s.group_outputs()});
  }
  return blocks;
}

void Conv2dForward(const Conv2dShape& s, const float* x, const std::vector<const PackedMatrix*>& blocks,
                   Precision precision, float* y, const Epilogue& epilogue) {
  const gemm::Kernel& kernel = gemm::KernelFor(precision);
  const int64_t row = s.columns.outputs() * s.out_channels, image = s.rows.outputs() * row;
  const int64_t parts = static_cast<int64_t>(blocks.size()) / s.groups;
  for (int64_t group = 0; group < s.groups; ++group) {
    const vision::SlidingView view = vision::InputOf(s, x, group);
    const int64_t first = group * s.group_outputs();
    vision::Multiply({kernel, view, blocks.data() + group * parts, vision::HasRuns(kernel, view), s.group_outputs(),
                      y + first, epilogue.pre_activation ? epilogue.pre_activation + first : nullptr, image, row,
                      s.out_channels, epilogue.bias ? epilogue.bias + first : nullptr, epilogue.activation},
                     s.batch);
  }
}

void Conv2dInputGradient(const Conv2dShape& s, const float* dy, const float* weight, Precision precision, float* dx) {
  for (int64_t row_phase = 0; row_phase < std::min(s.rows.stride, s.rows.size); ++row_phase) {
    for (int64_t column_phase = 0; column_phase < std::min(s.columns.stride, s.columns.size); ++column_phase) {
      for (int64_t group = 0; group < s.groups; ++group) {
        vision::InputGradientPhase(s, group, row_phase, column_phase, dy, weight, precision, dx);
      }
    }
  }
}

void Conv2dWeightGradient(const Conv2dShape& s, const float* x, const float* dy, Precision precision, float* dweight) {
  constexpr int64_t kChunkNumbers = 1 << 20, kUnit = 512;  // the matrix of windows is packed 4 MB at a time
  const gemm::Kernel& kernel = gemm::KernelFor(precision);
  const int64_t k = s.depth(), m = s.group_outputs(), total = s.pixels();
  const int64_t chunk = std::max(kUnit, kChunkNumbers / k / kUnit * kUnit);
  if (total == 0) std::fill_n(dweight, s.out_channels * k, 0.0f);
  for (int64_t group = 0; group < s.groups; ++group) {
    const vision::SlidingView view = vision::InputOf(s, x, group);
    for (int64_t first = 0; first < total; first += chunk) {
      const int64_t count = std::min(chunk, total - first);
      const Buffer<float> windows = vision::PackWindows(kernel, view, first, count);
      Epilogue epilogue;
      epilogue.accumulate = first > 0;
      gemm::MultiplyAll(kernel, {dy + first * s.out_channels + group * m, 1, s.out_channels}, windows.data(), m, k,
                        count, dweight + group * m * k, k, epilogue);
    }
  }
}

}  // namespace attnkit::kernels
