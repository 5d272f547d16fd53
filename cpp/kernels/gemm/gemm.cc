#include "attnkit/kernels/gemm.h"

#include <algorithm>
#include <cstdlib>

#include "attnkit/check.h"
#include "attnkit/threads.h"
#include "kernels/gemm/kernel.h"

namespace attnkit::kernels {
namespace gemm {
namespace {

int64_t Env(const char* n, int64_t d) { const char* e = std::getenv(n); return e ? std::atoll(e) : d; }
const int64_t kDepthBlock = Env("KC", 384);
const int64_t kBlockWords = Env("BW", 128 * 1024);
const int64_t kRowBlock = Env("MC", 128);

int64_t DepthWords(const Kernel& kernel, int64_t k) { return RoundUp(CeilDiv(k, kernel.word), kernel.depth_unit); }

struct Product {
  const Kernel& kernel;
  MatrixView a;
  int64_t k, words;
  const float* b;
  int64_t n;
  float* c;
  int64_t c_row;
  const Epilogue& epilogue;
};

struct Block {
  int64_t row, rows, column, columns;
};

// One block of depth: C[block] = init + A · B, and the activation after the last one.
void MultiplyDepth(const Product& p, const Block& block, const float* a, int64_t a_row, int64_t word, int64_t depth) {
  const Epilogue& epilogue = p.epilogue;
  const bool first = word == 0, last = word + depth == p.words;
  const bool activates = last && (epilogue.activation != Activation::kNone || epilogue.pre_activation);
  float* to = epilogue.pre_activation ? epilogue.pre_activation : p.c;
  const bool adds = !first || epilogue.accumulate;
  const int64_t panel = p.kernel.panel;
  const int64_t group = std::max(panel, kBlockWords / std::max<int64_t>(depth, 1) / panel * panel);
  const int64_t tiles = CeilDiv(block.rows, p.kernel.rows), end = block.column + block.columns;
  for (int64_t column = block.column, columns; column < end; column += columns) {
    columns = std::min(group, end - column);
    if (columns > panel) columns -= columns % panel;  // a narrower last panel goes alone
    const int64_t width = std::min(panel, RoundUp(columns, p.kernel.lanes));
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t r = tile * block.rows / tiles, rows = (tile + 1) * block.rows / tiles - r;
      float* c = to + (block.row + r) * p.c_row + column;
      TileCall call{};
      call.a = a + r * a_row;
      call.a_row = a_row;
      call.b = p.b + column * p.words + word * width;
      call.panel_stride = panel * p.words;
      call.depth = depth;
      call.c = c;
      call.c_row = p.c_row;
      call.init = adds ? c : epilogue.bias ? epilogue.bias + column : nullptr;
      call.init_row = adds ? p.c_row : 0;
      call.rows = rows;
      call.columns = columns;
      p.kernel.tile(call);
      if (activates) {
        ActivateBlock(epilogue.activation, c, p.c + (block.row + r) * p.c_row + column, p.c_row, rows, columns);
      }
    }
  }
}

void MultiplyBlock(const Product& p, const Block& block) {
  const bool in_place = p.kernel.reads_rows_in_place && p.a.column_stride == 1;
  const int64_t a_row = std::min(kDepthBlock, p.words) + 16;
  Buffer<float> packed(in_place ? 0 : block.rows * a_row);
  if (p.kernel.begin) p.kernel.begin();
  int64_t word = 0;
  do {
    const int64_t depth = std::min(kDepthBlock, p.words - word), k = word * p.kernel.word;
    const MatrixView a{p.a.at(block.row, k), p.a.row_stride, p.a.column_stride};
    if (in_place) {
      MultiplyDepth(p, block, a.data, a.row_stride, word, depth);
    } else {
      p.kernel.pack_a(a, block.rows, std::min(p.k - k, depth * p.kernel.word), depth, packed.data(), a_row);
      MultiplyDepth(p, block, packed.data(), a_row, word, depth);
    }
    word += depth;
  } while (word < p.words);
  if (p.kernel.end) p.kernel.end();
}

// How C is cut into tasks.
struct Grid {
  int64_t row_blocks, column_blocks;
};

Grid ChooseGrid(const Kernel& kernel, int64_t m, int64_t n, int64_t k) {
  constexpr double kTaskFlops = 4e6;  // 20 us at 200 GFLOP/s
  const double flops = 2.0 * m * n * std::max<int64_t>(k, 1);
  const int64_t threads = ThreadCount();
  const int64_t tasks = threads == 1 ? 1 : std::max<int64_t>(1, std::min<double>(4 * threads, flops / kTaskFlops));
  Grid grid{CeilDiv(m, kRowBlock), 1};
  const int64_t panels = CeilDiv(n, kernel.panel);
  if (grid.row_blocks < tasks) grid.column_blocks = std::min(CeilDiv(tasks, grid.row_blocks), CeilDiv(panels, 4));
  if (grid.row_blocks * grid.column_blocks < tasks) {
    grid.row_blocks = std::min(CeilDiv(tasks, grid.column_blocks), CeilDiv(m, 4 * kernel.rows));
  }
  return grid;
}

}  // namespace
}  // namespace gemm

PackedMatrix PackMatrix(const float* b, int64_t k, int64_t n, int64_t row_stride, int64_t column_stride, Precision precision) {
  using namespace gemm;
  const Kernel& kernel = KernelFor(precision);
  PackedMatrix packed;
  packed.k = k;
  packed.n = n;
  packed.precision = precision;
  packed.isa = static_cast<int>(ActiveIsa());
  packed.panel = kernel.panel;
  if (packed.empty()) return packed;
  const int64_t words = DepthWords(kernel, k), panels = CeilDiv(n, kernel.panel);
  packed.data = Buffer<uint8_t>(words * RoundUp(n, kernel.lanes) * sizeof(float));
  float* to = reinterpret_cast<float*>(packed.data.data());
  const MatrixView view{b, row_stride, column_stride};
  constexpr int64_t kTaskNumbers = 1 << 17;
  const int64_t grain = CeilDiv(kTaskNumbers, k * kernel.panel);
  ParallelFor(panels, grain, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const int64_t column = p * kernel.panel, columns = std::min(kernel.panel, n - column);
      const MatrixView panel{view.at(0, column), row_stride, column_stride};
      kernel.pack_b(panel, k, words, columns, std::min(kernel.panel, RoundUp(columns, kernel.lanes)), to + column * words);
    }
  });
  return packed;
}

void Gemm(const float* a, int64_t a_row_stride, int64_t a_column_stride, int64_t m, const PackedMatrix& b, float* c,
          int64_t c_row_stride, const Epilogue& epilogue) {
  using namespace gemm;
  ATTNKIT_CHECK(b.isa == static_cast<int>(ActiveIsa()), "[gemm] expected B packed for ", IsaName(ActiveIsa()),
                ", got B packed for ", IsaName(static_cast<Isa>(b.isa)));
  ATTNKIT_CHECK(!epilogue.accumulate || (!epilogue.bias && !epilogue.pre_activation && epilogue.activation == Activation::kNone),
                "[gemm] expected no bias and no activation with accumulate, got one");
  if (m <= 0 || b.n <= 0) return;
  const Kernel& kernel = KernelFor(b.precision);
  const Product product{kernel, {a, a_row_stride, a_column_stride}, b.k, DepthWords(kernel, b.k),
                        reinterpret_cast<const float*>(b.data.data()), b.n, c, c_row_stride, epilogue};
  const Grid grid = ChooseGrid(kernel, m, b.n, b.k);
  const int64_t panels = CeilDiv(b.n, kernel.panel);
  ParallelFor(grid.row_blocks * grid.column_blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t i = task / grid.column_blocks, j = task % grid.column_blocks;
      const int64_t row = i * m / grid.row_blocks, column = j * panels / grid.column_blocks * kernel.panel;
      const int64_t column_end = std::min(b.n, (j + 1) * panels / grid.column_blocks * kernel.panel);
      MultiplyBlock(product, {row, (i + 1) * m / grid.row_blocks - row, column, column_end - column});
    }
  });
}

void Gemm(const float* a, int64_t a_row_stride, int64_t a_column_stride, const float* b, int64_t b_row_stride,
          int64_t b_column_stride, int64_t m, int64_t n, int64_t k, Precision precision, float* c, int64_t c_row_stride,
          const Epilogue& epilogue) {
  const PackedMatrix packed = PackMatrix(b, k, n, b_row_stride, b_column_stride, precision);
  Gemm(a, a_row_stride, a_column_stride, m, packed, c, c_row_stride, epilogue);
}

}  // namespace attnkit::kernels
