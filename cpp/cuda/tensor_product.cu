// How the operands of a product by tensor cores are read, and in which tiles it is made.
#include "cuda/tensor_product.h"

#include "cuda/tensor_tiles.h"

namespace attnkit::cuda {
namespace {

template <typename Number>
Vectors<Number> VectorsOf(const Number* data, int64_t stride, int64_t depth_stride, int64_t batch_step, int64_t count) {
  constexpr int64_t kTogether = 16 / sizeof(Number);
  const int64_t step = depth_stride == 1 ? stride : depth_stride;
  const bool neighbours = depth_stride == 1 || stride == 1;
  return {data,
          stride,
          depth_stride,
          batch_step,
          count,
          neighbours && step % kTogether == 0 && batch_step % kTogether == 0 &&
              reinterpret_cast<uintptr_t>(data) % 16 == 0};
}

template <typename Tile, bool kAAlong, bool kBAlong, typename Number>
void LaunchTensorProduct(const Vectors<float>& a, const Vectors<Number>& b, int64_t depth,
                         const FloatEpilogue& finisher, int64_t batch) {
  const int64_t row_tiles = Blocks(a.count, Tile::kRows), column_tiles = Blocks(b.count, Tile::kColumns);
  Launch(
      {dim3(static_cast<unsigned>(row_tiles * column_tiles), 1, static_cast<unsigned>(batch)), dim3(kProductThreads)},
      TensorProductKernel<Tile, kAAlong, kBAlong, Number>, a, b, depth, finisher, column_tiles);
}

// The tiles by what there is to do, as Product's.
template <bool kAAlong, bool kBAlong, typename Number>
void ChooseTile(const Vectors<float>& a, const Vectors<Number>& b, int64_t depth, const FloatEpilogue& finisher,
                int64_t batch) {
  switch (TileSizeFor(a.count, b.count, batch, ThinTile::kRows)) {
    case TileSize::kThin: return LaunchTensorProduct<ThinTile, kAAlong, kBAlong>(a, b, depth, finisher, batch);
    case TileSize::kMiddle: return LaunchTensorProduct<MiddleTile, kAAlong, kBAlong>(a, b, depth, finisher, batch);
    case TileSize::kLarge: return LaunchTensorProduct<LargeTile, kAAlong, kBAlong>(a, b, depth, finisher, batch);
  }
}

}  // namespace

void TensorProduct(const RoundedView& a, const RoundedView& b, int64_t m, int64_t n, int64_t depth,
                   const FloatEpilogue& finisher, const ProductBatch& batch) {
  if (m <= 0 || n <= 0) return;
  const auto rows = VectorsOf(depth ? a.data : nullptr, a.row_stride, a.column_stride, batch.a_step, m);
  const auto columns = VectorsOf(depth ? b.data : nullptr, b.column_stride, b.row_stride, batch.b_step, n);
  if (rows.depth_stride == 1) {
    columns.depth_stride == 1 ? ChooseTile<true, true>(rows, columns, depth, finisher, batch.count)
                              : ChooseTile<true, false>(rows, columns, depth, finisher, batch.count);
  } else {
    columns.depth_stride == 1 ? ChooseTile<false, true>(rows, columns, depth, finisher, batch.count)
                              : ChooseTile<false, false>(rows, columns, depth, finisher, batch.count);
  }
}

// Packed rows: columns lie across the depth.
void TensorProduct(const RoundedView& a, const WidenedView& b, int64_t m, int64_t n, int64_t depth,
                   const FloatEpilogue& finisher, const ProductBatch& batch) {
  if (m <= 0 || n <= 0) return;
  const auto rows = VectorsOf(depth ? a.data : nullptr, a.row_stride, a.column_stride, batch.a_step, m);
  const auto columns = VectorsOf(depth ? b.data : nullptr, b.column_stride, b.row_stride, batch.b_step, n);
  rows.depth_stride == 1 ? ChooseTile<true, false>(rows, columns, depth, finisher, batch.count)
                         : ChooseTile<false, false>(rows, columns, depth, finisher, batch.count);
}

}  // namespace attnkit::cuda
