// The driver: packing of B, the cut of C into tasks, and the loops around the register kernels.
#include "attnkit/kernels/gemm.h"

#include <algorithm>

#include "attnkit/check.h"
#include "attnkit/kernels/memory.h"
#include "attnkit/profile.h"
#include "attnkit/threads.h"
#include "kernels/bfloat16.h"
#include "kernels/gemm/int8.h"
#include "kernels/gemm/kernel.h"

namespace attnkit::kernels {
namespace gemm {
namespace {

// Rows of A that are packed at a time. They pass through the L2 cache twice, as they are and packed, beside the panels
// of B. Rows that are contiguous are taken by size; of transposed ones (columns contiguous) long stretches are wanted.
constexpr int64_t kFewestRows = 32, kMostRows = 128, kPieceNumbers = 32 * 1024;
constexpr int64_t kTaskRows = 512;            // most rows of C in a task
constexpr int64_t kPanelsWords = 128 * 1024;  // words of B that stay in the L2 cache while rows of A pass
constexpr int64_t kFewRows = 48;              // of a task, that take no longer than B takes to come from memory
constexpr int64_t kRowPadding = 16;           // of packed A: its rows then start in different sets of the L1 cache

struct Product {
  const Kernel& kernel;
  MatrixView a;
  const float* b;
  int64_t n, k, words;
  float* c;
  int64_t c_row;
  const Epilogue& epilogue;
};

// A block of depth: `words` words from `first` on, with A's rows of words, a_row apart, packed or as they are.
struct DepthBlock {
  const float* a;
  int64_t a_row, first, words;
  bool in_place;
  Ahead* ahead;
};

// A few rows of C: init + A · B, and the activation once the depth is complete.
void MultiplyRows(const Product& p, const Block& block, const DepthBlock& depth) {
  const Epilogue& epilogue = p.epilogue;
  const bool adds = depth.first > 0 || epilogue.accumulate, complete = depth.first + depth.words == p.words;
  const int64_t corner = block.row * p.c_row + block.column;
  const int64_t width = std::min(p.kernel.panel, RoundUp(block.columns, p.kernel.lanes));
  TileCall call;
  call.a = depth.a;
  call.a_row = depth.a_row;
  call.b = p.b + block.column * p.words + depth.first * width;
  call.panel_stride = p.kernel.panel * p.words;
  call.depth = depth.words;
  call.c = (epilogue.pre_activation ? epilogue.pre_activation : p.c) + corner;
  call.c_row = p.c_row;
  call.init = adds ? call.c : epilogue.bias ? epilogue.bias + block.column : nullptr;
  call.init_row = adds ? p.c_row : 0;
  call.rows = block.rows;
  call.columns = block.columns;
  call.ahead = depth.ahead;
  p.kernel.tile(call);
  if (complete && (epilogue.activation != Activation::kNone || epilogue.pre_activation)) {
    ActivateBlock(epilogue.activation, call.c, p.c + corner, p.c_row, block.rows, block.columns);
  }
}

// Rows pass over the panels that fit the L2 cache, in tiles of nearly equal height so that none is left thin.
void MultiplyDepth(const Product& p, const Block& block, const DepthBlock& depth) {
  const int64_t panel = p.kernel.panel;
  const int64_t group = std::max(panel, kPanelsWords / std::max<int64_t>(depth.words, 1) / panel * panel);
  const int64_t tiles = CeilDiv(block.rows, p.kernel.rows), end = block.column + block.columns;
  for (int64_t column = block.column, columns; column < end; column += columns) {
    columns = std::min(group, end - column);
    if (columns > panel) columns -= columns % panel;  // a narrower last panel goes alone
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t r = tile * block.rows / tiles, rows = (tile + 1) * block.rows / tiles - r;
      DepthBlock tile_depth = depth;
      tile_depth.a += r * depth.a_row;
      Ahead next_tile;
      if (depth.in_place) {
        const int64_t next_rows = tile + 1 < tiles ? (tile + 2) * block.rows / tiles - (r + rows) : 0;
        if (next_rows > 0) next_tile = Ahead(tile_depth.a + rows * depth.a_row, next_rows, depth.words, depth.a_row);
        tile_depth.ahead = &next_tile;
      }
      MultiplyRows(p, {block.row + r, rows, column, columns}, tile_depth);
    }
  }
}

// Where B comes from memory, few rows would wait for it in the first tile: a panel serves all of them while it is near,
// and the next one is fetched meanwhile.
void MultiplyFewRows(const Product& p, const Block& block, const DepthBlock& depth) {
  const int64_t panel = p.kernel.panel;
  const int64_t tiles = CeilDiv(block.rows, p.kernel.rows), end = block.column + block.columns;
  for (int64_t column = block.column; column < end; column += panel) {
    const int64_t columns = std::min(panel, end - column), next = std::min(panel, end - column - columns);
    const int64_t width = RoundUp(next, p.kernel.lanes);
    Ahead next_panel;
    if (next > 0) {
      next_panel = Ahead(p.b + (column + panel) * p.words + depth.first * width, 1, depth.words * width, 0);
    }
    DepthBlock tile_depth = depth;
    tile_depth.ahead = &next_panel;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t r = tile * block.rows / tiles, rows = (tile + 1) * block.rows / tiles - r;
      tile_depth.a = depth.a + r * depth.a_row;
      MultiplyRows(p, {block.row + r, rows, column, columns}, tile_depth);
    }
  }
}

// The part of A that is read at a time.
struct Piece {
  int64_t row, rows, first, words;
};

MatrixView ViewOf(const Product& p, const Piece& piece) {
  return {p.a.at(piece.row, piece.first * p.kernel.word), p.a.row_stride, p.a.column_stride};
}

int64_t DepthOf(const Product& p, const Piece& piece) {
  return std::min(p.k - piece.first * p.kernel.word, piece.words * p.kernel.word);
}

Ahead AheadOf(const Product& p, const Piece& piece) {
  const float* data = ViewOf(p, piece).data;
  if (p.a.column_stride == 1) return {data, piece.rows, DepthOf(p, piece), p.a.row_stride};
  if (p.a.row_stride == 1) return {data, DepthOf(p, piece), piece.rows, p.a.column_stride};
  return {};
}

// The pieces of a task, depth by depth, so that a block of B serves all rows. Rows that are read in place are one
// piece: the panels of B then stay in the L2 cache while all of them pass.
class Pieces {
 public:
  Pieces(const Product& p, const Block& block, bool in_place) : p_(p), block_(block) {
    if (in_place) return;
    const int64_t depth = std::clamp<int64_t>(p.k, 1, p.kernel.depth_block * p.kernel.word);
    const int64_t by_size = std::clamp(kPieceNumbers / depth, kFewestRows, kMostRows);
    parts_ = CeilDiv(block.rows, p.a.column_stride == 1 ? by_size : kMostRows);
  }
  // A depth of zero has a block, too: C is written.
  int64_t count() const { return parts_ * std::max<int64_t>(1, CeilDiv(p_.words, p_.kernel.depth_block)); }
  Piece at(int64_t i) const {
    const int64_t part = i % parts_, begin = part * block_.rows / parts_, end = (part + 1) * block_.rows / parts_;
    const int64_t first = i / parts_ * p_.kernel.depth_block;
    return {block_.row + begin, end - begin, first, std::min(p_.kernel.depth_block, p_.words - first)};
  }

 private:
  const Product& p_;
  const Block& block_;
  int64_t parts_ = 1;
};

// One task.
void MultiplyBlock(const Product& p, const Block& block) {
  const Kernel& kernel = p.kernel;
  const bool in_place = kernel.reads_rows_in_place && p.a.column_stride == 1;
  const int64_t packed_row = std::min(kernel.depth_block, p.words) + kRowPadding;
  Buffer<float> packed(in_place ? 0 : std::min(block.rows, kMostRows) * packed_row);
  if (kernel.begin) kernel.begin();
  const Pieces pieces(p, block, in_place);
  const bool few = block.rows > kernel.rows && block.rows <= kFewRows;
  for (int64_t i = 0; i < pieces.count(); ++i) {
    const Piece piece = pieces.at(i);
    const MatrixView a = ViewOf(p, piece);
    Ahead ahead;
    if (!in_place && i + 1 < pieces.count()) ahead = AheadOf(p, pieces.at(i + 1));
    if (!in_place) kernel.pack_a(a, piece.rows, DepthOf(p, piece), piece.words, packed.data(), packed_row);
    const auto multiply = few ? &MultiplyFewRows : &MultiplyDepth;
    multiply(p, {piece.row, piece.rows, block.column, block.columns},
             {in_place ? a.data : packed.data(), in_place ? a.row_stride : packed_row, piece.first, piece.words,
              in_place, &ahead});
  }
  if (kernel.end) kernel.end();
}

}  // namespace

int64_t WorthwhileTasks(int64_t m, int64_t n, int64_t k, int64_t number_bytes) {
  // 20 us: at 100 multiplications a nanosecond (150 in int8), and at 10 GB/s.
  const double task_multiplications = number_bytes == 1 ? 3e6 : 2e6, task_bytes = 2e5;
  constexpr int64_t kTasksPerThread = 4;
  const int64_t threads = internal::InParallel() ? 1 : ThreadCount();
  const double size = static_cast<double>(n) * k;
  const auto most = static_cast<int64_t>(std::max(m * size / task_multiplications, number_bytes * size / task_bytes));
  if (threads == 1 || most < 2) return 1;
  return most < threads ? most : std::min(kTasksPerThread, most / threads) * threads;
}

namespace {

// How C is cut into tasks.
struct Grid {
  int64_t row_blocks, column_blocks;
};

// Rows first: a task packs its rows of A, so that tasks side by side in a row would pack the same ones again. When rows
// are few that costs little, and columns are cut; when those are few too, rows are cut finer.
Grid ChooseGrid(const Kernel& kernel, int64_t m, int64_t n, int64_t k) {
  constexpr int64_t kFewestPanels = 4, kFewestTiles = 4;
  const int64_t word_bytes = sizeof(float), wanted = WorthwhileTasks(m, n, k, word_bytes / kernel.word);
  Grid grid{std::max(CeilDiv(m, kTaskRows), std::min(wanted, CeilDiv(m, kMostRows))), 1};
  if (grid.row_blocks < wanted) {
    grid.column_blocks = std::min(CeilDiv(wanted, grid.row_blocks), CeilDiv(CeilDiv(n, kernel.panel), kFewestPanels));
  }
  if (grid.row_blocks * grid.column_blocks < wanted) {
    const int64_t finest = CeilDiv(m, kFewestTiles * kernel.rows);
    grid.row_blocks = std::max(grid.row_blocks, std::min(CeilDiv(wanted, grid.column_blocks), finest));
  }
  return grid;
}

// Lines of `size` numbers, consecutive where the stride is 1.
void WidenLines(const uint16_t* bits, int64_t line, int64_t stride, int64_t lines, int64_t size, float* out) {
  for (int64_t l = 0; l < lines; ++l, bits += line, out += size) {
    if (stride == 1) {
      for (int64_t i = 0; i < size; ++i) out[i] = Widened(bits[i]);
    } else {
      for (int64_t i = 0; i < size; ++i) out[i] = Widened(bits[i * stride]);
    }
  }
}

// One panel, some rows at a time: the words of so many rows lie behind those of the rows before.
void PackPanel(const Kernel& kernel, const RightSide& b, int64_t k, int64_t column, int64_t columns, int64_t width,
               Buffer<float>& widened, float* to) {
  const int64_t words = DepthWords(kernel, k), rows = b.RowsAtOnce(k);
  for (int64_t row = 0; row < k; row += rows) {
    const int64_t depth = std::min(rows, k - row), first = row / kernel.word;
    const int64_t padded = row + depth < k ? depth / kernel.word : words - first;
    kernel.pack_b(b.Columns(column, columns, row, depth, widened), depth, padded, columns, width, to + first * width);
  }
}

}  // namespace

MatrixView RightSide::Columns(int64_t first, int64_t count, int64_t row, int64_t rows, Buffer<float>& buffer) const {
  if (!bits && !bytes) return {floats.at(row, first), floats.row_stride, floats.column_stride};
  if (buffer.size() < count * rows) buffer = Buffer<float>(count * rows);
  if (bytes) {
    Dequantize(bytes + first * rows, {multipliers + first}, count, rows, buffer.data());
    return {buffer.data(), 1, rows};
  }
  const int64_t down = floats.row_stride, right = floats.column_stride;
  const uint16_t* from = bits + row * down + first * right;
  if (right == 1) {
    WidenLines(from, down, right, rows, count, buffer.data());
    return {buffer.data(), count, 1};
  }
  WidenLines(from, right, down, count, rows, buffer.data());
  return {buffer.data(), 1, rows};
}

Buffer<uint8_t> PackAll(const Kernel& kernel, const RightSide& b, int64_t k, int64_t n) {
  constexpr int64_t kTaskNumbers = 1 << 17;
  if (k == 0 || n == 0) return {};
  const int64_t words = DepthWords(kernel, k), panel = kernel.panel;
  Buffer<uint8_t> packed(words * RoundUp(n, kernel.lanes) * sizeof(float));
  float* to = reinterpret_cast<float*>(packed.data());
  ParallelFor(CeilDiv(n, panel), CeilDiv(kTaskNumbers, k * panel), [&](int64_t begin, int64_t end) {
    Buffer<float> widened;
    for (int64_t column = begin * panel; column < std::min(n, end * panel); column += panel) {
      const int64_t columns = std::min(panel, n - column), width = std::min(panel, RoundUp(columns, kernel.lanes));
      PackPanel(kernel, b, k, column, columns, width, widened, to + column * words);
    }
  });
  return packed;
}

void MultiplyAll(const Kernel& kernel, const MatrixView& a, const float* packed, int64_t m, int64_t n, int64_t k,
                 float* c, int64_t c_row, const Epilogue& epilogue) {
  if (m <= 0 || n <= 0) return;
  const Product product{kernel, a, packed, n, k, DepthWords(kernel, k), c, c_row, epilogue};
  const Grid grid = ChooseGrid(kernel, m, n, k);
  const int64_t panels = CeilDiv(n, kernel.panel);
  ParallelFor(grid.row_blocks * grid.column_blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t i = task / grid.column_blocks, j = task % grid.column_blocks;
      const int64_t row = i * m / grid.row_blocks, column = j * panels / grid.column_blocks * kernel.panel;
      const int64_t row_end = (i + 1) * m / grid.row_blocks;
      const int64_t column_end = std::min(n, (j + 1) * panels / grid.column_blocks * kernel.panel);
      MultiplyBlock(product, {row, row_end - row, column, column_end - column});
    }
  });
}

void MultiplyInThread(const float* a, int64_t a_row, int64_t m, const PackedMatrix& b, float* c, int64_t c_row,
                      const Epilogue& epilogue) {
  if (m <= 0 || b.n <= 0) return;
  if (b.precision == Precision::kInt8) {
    const Int8Kernel& int8 = KernelForRows(Int8KernelFor(), m);
    const QuantizedRows rows = QuantizeRows(int8, Int8KernelFor(), {a, a_row, 1}, m, b);
    return MultiplyInt8Block(int8, rows, b, {0, m, 0, b.n}, c, c_row, epilogue);
  }
  const Kernel& kernel = KernelFor(b.precision, b.n);
  const float* packed = reinterpret_cast<const float*>(b.data.data());
  const Product product{kernel, {a, a_row, 1}, packed, b.n, b.k, DepthWords(kernel, b.k), c, c_row, epilogue};
  MultiplyBlock(product, {0, m, 0, b.n});
}

}  // namespace gemm

namespace {

PackedMatrix Pack(const gemm::RightSide& b, int64_t k, int64_t n, Precision precision) {
  if (precision == Precision::kInt8) return gemm::PackInt8(gemm::Int8KernelFor(), b, k, n);
  const gemm::Kernel& kernel = gemm::KernelFor(precision, n);
  PackedMatrix packed;
  packed.k = k;
  packed.n = n;
  packed.precision = precision;
  packed.isa = static_cast<int>(ActiveIsa());
  packed.panel = kernel.panel;
  packed.data = gemm::PackAll(kernel, b, k, n);
  return packed;
}

}  // namespace

PackedMatrix PackMatrix(const float* b, int64_t k, int64_t n, int64_t row_stride, int64_t column_stride,
                        Precision precision) {
  return Pack(gemm::MatrixView{b, row_stride, column_stride}, k, n, precision);
}

PackedMatrix PackBFloat16(const uint16_t* b, int64_t k, int64_t n, int64_t row_stride, int64_t column_stride,
                          Precision precision) {
  return Pack({b, row_stride, column_stride}, k, n, precision);
}

PackedMatrix PackQuantized(const int8_t* rows, const Quantization& quantization, int64_t k, int64_t n,
                           Precision precision) {
  const gemm::RightSide columns(rows, quantization.multipliers.data(), k);
  if (precision != Precision::kInt8) return Pack(columns, k, n, precision);
  return gemm::PackInt8(gemm::Int8KernelFor(), columns, k, n, quantization.input_multiplier);
}

void Gemm(const float* a, int64_t a_row_stride, int64_t a_column_stride, int64_t m, const PackedMatrix& b, float* c,
          int64_t c_row_stride, const Epilogue& epilogue) {
  ATTNKIT_CHECK(b.isa == static_cast<int>(ActiveIsa()), "[gemm] expected B packed for ", IsaName(ActiveIsa()),
                ", got B packed for ", IsaName(static_cast<Isa>(b.isa)));
  CountArithmetic(2.0 * m * b.n * b.k, static_cast<int>(b.precision));
  const bool plain = !epilogue.bias && !epilogue.pre_activation && epilogue.activation == Activation::kNone;
  ATTNKIT_CHECK(!epilogue.accumulate || plain, "[gemm] expected no bias and no activation with accumulate, got one");
  if (b.precision == Precision::kInt8) {
    ATTNKIT_CHECK(!epilogue.accumulate && !epilogue.pre_activation,
                  "[gemm] expected fp32 or bf16 to accumulate or to keep what the activation reads, got int8");
    gemm::MultiplyInt8(gemm::Int8KernelFor(), {a, a_row_stride, a_column_stride}, m, b, c, c_row_stride, epilogue);
    return;
  }
  gemm::MultiplyAll(gemm::KernelFor(b.precision, b.n), {a, a_row_stride, a_column_stride},
                    reinterpret_cast<const float*>(b.data.data()), m, b.n, b.k, c, c_row_stride, epilogue);
}

void MatMul(const float* a, int64_t a_row_stride, int64_t a_column_stride, const float* b, int64_t b_row_stride,
            int64_t b_column_stride, int64_t m, int64_t n, int64_t k, Precision precision, float* c,
            int64_t c_row_stride, const Epilogue& epilogue) {
  const PackedMatrix packed = PackMatrix(b, k, n, b_row_stride, b_column_stride, precision);
  Gemm(a, a_row_stride, a_column_stride, m, packed, c, c_row_stride, epilogue);
}

void MatMuls(int64_t count, const MatrixBatch& a, const MatrixBatch& b, int64_t m, int64_t n, int64_t k,
             Precision precision, float* c) {
  for (int64_t i = 0; i < count; ++i) {
    MatMul(a.data + i * a.step, a.row_stride, a.column_stride, b.data + i * b.step, b.row_stride, b.column_stride, m, n,
           k, precision, c + i * m * n, n);
  }
}

}  // namespace attnkit::kernels
