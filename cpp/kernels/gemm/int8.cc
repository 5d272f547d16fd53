// The driver of int8: packing of B, quantising of A, and the cut of C into tasks.
#include "kernels/gemm/int8.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "attnkit/check.h"
#include "attnkit/cpu.h"
#include "attnkit/threads.h"

namespace attnkit::kernels::gemm {
namespace {

constexpr int64_t kPanelsBytes = 256 * 1024;  // of B that stay in the L2 cache while rows of A pass

int64_t DepthWords(const Int8Kernel& kernel, int64_t k) {
  return RoundUp(CeilDiv(k, WordNumbers(kernel.a)), kernel.word_unit);
}

// Words of `kBytes`, one after the other, to places that lie `step` bytes apart.
template <int64_t kBytes>
void SpreadWords(const int8_t* from, int64_t words, uint8_t* to, int64_t step) {
  for (int64_t w = 0; w < words; ++w) std::memcpy(to + w * step, from + w * kBytes, kBytes);
}

// Words of columns that lie `column` bytes apart, side by side.
template <int64_t kBytes>
void GatherWords(const int8_t* from, int64_t column, int64_t columns, uint8_t* to) {
  for (int64_t c = 0; c < columns; ++c) std::memcpy(to + c * kBytes, from + c * column, kBytes);
}

struct Int8Column {
  float scale = 0.0f, multiplier = 0.0f;  // the multiplier of bytes that were given
  int32_t sum = 0;
};

// One row of a strided matrix as contiguous numbers: where it lies, when it is that already.
const float* ContiguousRow(const MatrixView& x, int64_t row, int64_t size, float* buffer) {
  if (x.column_stride == 1) return x.at(row, 0);
  for (int64_t i = 0; i < size; ++i) buffer[i] = *x.at(row, i);
  return buffer;
}

// What the sum of a column and its scale mean to the products of it.
void SetColumn(const Int8Column& column, int64_t j, PackedMatrix& packed) {
  if (packed.input_multiplier == 0.0f) {
    packed.scales[j] = column.scale;
    packed.compensation[j] = -128 * column.sum;
    return;
  }
  // The order of the roundings is Marian's and intgemm's.
  const float a = packed.input_multiplier, b = column.multiplier;
  packed.scales[j] = b > 0.0f ? 1.0f / (a * b) : 0.0f;
  packed.shifts[j] = b > 0.0f ? static_cast<float>(column.sum) * (-((127.0f / a) * (127.0f / b)) / 127.0f) : 0.0f;
  packed.compensation[j] = -column.sum;
  packed.signed_compensation[j] = 127 * column.sum;
}

// Columns [begin, end) of B, which are bytes of whole words, into the panels: a word of each column at a time, so that
// what is written lies side by side.
void PackByteColumns(const Int8Kernel& kernel, const RightSide& b, int64_t k, int64_t n, int64_t begin, int64_t end,
                     PackedMatrix& packed) {
  const int64_t words = DepthWords(kernel, k), word_bytes = WordNumbers(kernel.a);
  const auto gather = word_bytes == 2 ? &GatherWords<2> : &GatherWords<4>;
  for (int64_t j = begin, next; j < end; j = next) {
    const int64_t panel = j / kernel.panel * kernel.panel,
                  width = std::min(kernel.panel, RoundUp(n, kernel.lanes) - panel);
    next = std::min(end, panel + width);
    const int8_t* from = b.bytes + j * k;
    uint8_t* to = packed.data.data() + (panel * words + (j - panel)) * word_bytes;
    for (int64_t w = 0; w < words; ++w) gather(from + w * word_bytes, k, next - j, to + w * width * word_bytes);
    for (int64_t c = j; c < next; ++c) {
      Int8Column column;
      column.multiplier = b.multipliers[c];
      column.scale = 1.0f / column.multiplier;
      column.sum = std::accumulate(b.bytes + c * k, b.bytes + (c + 1) * k, int32_t{0});
      SetColumn(column, c, packed);
    }
  }
}

// Columns [begin, end) of B into the panels. A column is quantised as a row of the transposed matrix, where it is not
// bytes already.
void PackColumns(const Int8Kernel& kernel, const RightSide& b, int64_t k, int64_t n, int64_t begin, int64_t end,
                 PackedMatrix& packed) {
  const int64_t words = DepthWords(kernel, k), word_bytes = WordNumbers(kernel.a), bytes = words * word_bytes;
  const auto spread = word_bytes == 2 ? &SpreadWords<2> : &SpreadWords<4>;
  if (b.bytes && k == bytes) {
    PackByteColumns(kernel, b, k, n, begin, std::min(end, n), packed);
    begin = std::max(begin, n);  // zeros up to whole vectors
  }
  Buffer<float> numbers(k), widened;
  Buffer<int8_t> column(bytes);
  for (int64_t j = begin; j < end; ++j) {
    const int64_t panel = j / kernel.panel * kernel.panel,
                  width = std::min(kernel.panel, RoundUp(n, kernel.lanes) - panel);
    Int8Column made;
    if (j < n && b.bytes) {
      std::memcpy(column.data(), b.bytes + j * k, k);
      std::fill(column.begin() + k, column.end(), int8_t{0});
      made.multiplier = b.multipliers[j];
      made.scale = 1.0f / made.multiplier;
    } else if (j < n) {
      const MatrixView row = b.Columns(j, 1, 0, k, widened).transposed();
      QuantizeRow(ContiguousRow(row, 0, k, numbers.data()), k, bytes, Int8Rows::kSigned, 0.0f, column.data(),
                  &made.scale);
    } else {
      std::fill(column.begin(), column.end(), int8_t{0});
    }
    made.sum = std::accumulate(column.begin(), column.end(), int32_t{0});
    uint8_t* to = packed.data.data() + (panel * words + (j - panel)) * word_bytes;
    spread(column.data(), words, to, width * word_bytes);
    SetColumn(made, j, packed);
  }
}

}  // namespace

const Int8Kernel& Int8KernelFor() {
#if defined(__x86_64__)
  if (HasAmx()) return AmxInt8Kernel();
  if (HasAvx512Vnni()) return VnniInt8Kernel();
  if (ActiveIsa() >= Isa::kAvx2) return Avx2Int8Kernel();
#endif
  return PortableInt8Kernel();
}

QuantizedRows QuantizeRows(const Int8Kernel& kernel, const Int8Kernel& packed_for, const MatrixView& a, int64_t m,
                           const PackedMatrix& b) {
  constexpr int64_t kTaskNumbers = 1 << 16;
  const int64_t k = b.k;
  // Rows then start in different sets of the first-level cache.
  const int64_t words = DepthWords(packed_for, k), padded = words * WordNumbers(kernel.a);
  const int64_t bytes = words * kRowWordBytes, row = bytes + (bytes % 512 == 0 ? 64 : 0);
  QuantizedRows result{Buffer<int8_t>(m * row), Buffer<float>(m), row};
  ParallelFor(m, CeilDiv(kTaskNumbers, std::max<int64_t>(k, 1)), [&](int64_t begin, int64_t end) {
    Buffer<float> numbers(a.column_stride == 1 ? 0 : k);
    for (int64_t r = begin; r < end; ++r) {
      QuantizeRow(ContiguousRow(a, r, k, numbers.data()), k, padded, kernel.a, b.input_multiplier,
                  result.data.data() + r * row, &result.scales[r]);
    }
  });
  return result;
}

// Rows pass over the panels that fit the L2 cache, in tiles of nearly equal height.
void MultiplyInt8Block(const Int8Kernel& kernel, const QuantizedRows& a, const PackedMatrix& b, const Block& block,
                       float* c, int64_t c_row, const Epilogue& epilogue) {
  const int64_t column_bytes = b.data.size() / std::max<int64_t>(1, b.scales.size());
  const int64_t panel_bytes = std::max<int64_t>(1, kernel.panel * column_bytes);
  const int64_t group = std::max<int64_t>(1, kPanelsBytes / panel_bytes) * kernel.panel;
  const int64_t tiles = CeilDiv(block.rows, kernel.rows);
  if (kernel.begin) kernel.begin();
  for (int64_t first = 0; first < block.columns; first += group) {
    const int64_t column = block.column + first;
    Int8Call call;
    call.a_row = a.row;
    call.b = reinterpret_cast<const int8_t*>(b.data.data()) + column * column_bytes;
    call.panel_stride = kernel.panel * column_bytes;
    call.words = column_bytes / WordNumbers(kernel.a);
    const bool shifted = b.input_multiplier > 0.0f;
    call.init = kernel.a == Int8Rows::kUnsigned ? b.compensation.data() + column
                : shifted                       ? b.signed_compensation.data() + column
                                                : nullptr;
    call.column_scales = b.scales.data() + column;
    call.shifts = shifted ? b.shifts.data() + column : nullptr;
    call.bias = epilogue.bias ? epilogue.bias + column : nullptr;
    call.c_row = c_row;
    call.columns = std::min(group, block.columns - first);
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t r = tile * block.rows / tiles;
      call.rows = (tile + 1) * block.rows / tiles - r;
      call.a = a.data.data() + (block.row + r) * a.row;
      call.row_scales = a.scales.data() + block.row + r;
      call.c = c + r * c_row + first;
      kernel.tile(call);
      if (epilogue.activation != Activation::kNone) {
        ActivateBlock(epilogue.activation, call.c, call.c, c_row, call.rows, call.columns);
      }
    }
  }
  if (kernel.end) kernel.end();
}

PackedMatrix PackInt8(const Int8Kernel& kernel, const RightSide& b, int64_t k, int64_t n, float input_multiplier) {
  constexpr int64_t kTaskNumbers = 1 << 16;
  const int64_t deepest = input_multiplier > 0.0f ? kDeepestShiftedInt8 : kDeepestInt8;
  ATTNKIT_CHECK(k <= deepest, "[gemm] expected a depth of at most ", deepest, " in int8, got ", k);
  const int64_t padded = RoundUp(n, kernel.lanes);
  PackedMatrix packed;
  packed.k = k;
  packed.n = n;
  packed.precision = Precision::kInt8;
  packed.isa = static_cast<int>(ActiveIsa());
  packed.panel = kernel.panel;
  packed.data = Buffer<uint8_t>(DepthWords(kernel, k) * padded * WordNumbers(kernel.a));
  packed.scales = Buffer<float>(padded);
  packed.compensation = Buffer<int32_t>(padded);
  packed.input_multiplier = input_multiplier;
  if (input_multiplier > 0.0f) {
    packed.shifts = Buffer<float>(padded);
    packed.signed_compensation = Buffer<int32_t>(padded);
  }
  ParallelFor(padded, CeilDiv(kTaskNumbers, std::max<int64_t>(k, 1)),
              [&](int64_t begin, int64_t end) { PackColumns(kernel, b, k, n, begin, end, packed); });
  return packed;
}

void MultiplyInt8(const Int8Kernel& packed_for, const MatrixView& a, int64_t m, const PackedMatrix& b, float* c,
                  int64_t c_row, const Epilogue& epilogue) {
  if (m <= 0 || b.n <= 0) return;
  const Int8Kernel& kernel = KernelForRows(packed_for, m);
  const QuantizedRows rows = QuantizeRows(kernel, packed_for, a, m, b);
  // Rows are cut when there are many of them, else columns.
  const int64_t tasks = WorthwhileTasks(m, b.n, b.k, 1), panels = CeilDiv(b.n, kernel.panel);
  const int64_t row_blocks = std::min(tasks, CeilDiv(m, 4 * kernel.rows));
  const int64_t column_blocks = std::min(CeilDiv(tasks, row_blocks), panels);
  ParallelFor(row_blocks * column_blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t i = task / column_blocks, j = task % column_blocks;
      const int64_t row = i * m / row_blocks, column = j * panels / column_blocks * kernel.panel;
      const int64_t column_end = std::min(b.n, (j + 1) * panels / column_blocks * kernel.panel);
      MultiplyInt8Block(kernel, rows, b, {row, (i + 1) * m / row_blocks - row, column, column_end - column},
                        c + row * c_row + column, c_row, epilogue);
    }
  });
}

}  // namespace attnkit::kernels::gemm
