// 3 x 3 convolution of stride 1 by minimal filtering: a quarter of the multiplications of the direct sum.
//
// Patches of the image become numbers of 36 planes [tiles, channels], each plane is multiplied with a matrix of the
// filters, and the planes of the products become tiles of 4 x 4 outputs. A few tiles at a time go all the way, so that
// their planes stay near. Every output is made alone, in an order that depends on the shape only.
#include "kernels/vision/winograd.h"

#include <algorithm>

#include "attnkit/allocator.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/kernels/vision.h"
#include "attnkit/threads.h"
#include "kernels/gemm/kernel.h"
#include "kernels/vision/count.h"

namespace attnkit::kernels {
namespace vision {
namespace {

using gemm::CeilDiv;
using gemm::DepthWords;
using gemm::Kernel;
using gemm::RoundUp;

constexpr int64_t kTile = kWinogradOutputs, kPatch = kWinogradPatch, kPlanes = kWinogradPlanes;

// A batch of images under a filter of 3 x 3: input [batch, rows, columns, channels] with zeros around it.
struct Layer {
  int64_t batch, rows, columns, channels;
  int64_t row_padding, column_padding;

  int64_t out_rows() const { return rows + 2 * row_padding - (kWinogradFilter - 1); }
  int64_t out_columns() const { return columns + 2 * column_padding - (kWinogradFilter - 1); }
  int64_t tile_rows() const { return CeilDiv(out_rows(), kTile); }
  int64_t tile_columns() const { return CeilDiv(out_columns(), kTile); }
  int64_t tiles() const { return batch * tile_rows() * tile_columns(); }
};

// Where a tile lies: the image, and the first of its outputs.
struct Place {
  int64_t image, row, column;
};

Place PlaceOf(const Layer& layer, int64_t tile) {
  const int64_t of_image = layer.tile_rows() * layer.tile_columns(), in_image = tile % of_image;
  return {tile / of_image, in_image / layer.tile_columns() * kTile, in_image % layer.tile_columns() * kTile};
}

// A square of an image of `channels` channels, from (row, column) on; what lies outside of the image is zero, and is
// then in `scratch`.
Square<const float> ReadSquare(const float* image, int64_t rows, int64_t columns, int64_t channels, int64_t row,
                               int64_t column, int64_t side, float* scratch) {
  const int64_t line = columns * channels;
  if (row >= 0 && column >= 0 && row + side <= rows && column + side <= columns) {
    return {image + row * line + column * channels, line, channels};
  }
  const int64_t left = std::clamp<int64_t>(-column, 0, side), right = std::clamp(columns - column, left, side);
  for (int64_t r = 0; r < side; ++r) {
    float* to = scratch + r * side * channels;
    const bool inside = row + r >= 0 && row + r < rows;
    const int64_t begin = inside ? left : side, end = inside ? right : side;
    std::fill_n(to, begin * channels, 0.0f);
    std::copy_n(image + (row + r) * line + (column + begin) * channels, (end - begin) * channels,
                to + begin * channels);
    std::fill_n(to + end * channels, (side - end) * channels, 0.0f);
  }
  return {scratch, side * channels, channels};
}

// Bᵀ d B of tiles [first, first + count) and channels [channel, channel + taken): planes [36][count, taken].
void TransformPatches(const Layer& layer, const float* x, int64_t first, int64_t count, int64_t channel, int64_t taken,
                      float* scratch, float* planes) {
  for (int64_t t = 0; t < count; ++t) {
    const Place place = PlaceOf(layer, first + t);
    const float* image = x + place.image * layer.rows * layer.columns * layer.channels;
    Square<const float> patch =
        ReadSquare(image, layer.rows, layer.columns, layer.channels, place.row - layer.row_padding,
                   place.column - layer.column_padding, kPatch, scratch);
    patch.data += channel;
    Transform(WinogradTransform::kInput, patch, PlanesAt(planes + t * taken, count * taken), taken);
  }
}

// --- forward, and the gradient of the input, which is a forward with the filters turned

// Where the outputs go.
struct Output {
  float* y;
  int64_t channels;
  const Epilogue& epilogue;
};

// One tile of outputs from planes, `plane` numbers apart. Of a tile that leaves the image the part inside is copied.
void WriteTile(const Layer& layer, const Output& out, const Place& place, const float* planes, int64_t plane,
               float* scratch) {
  const int64_t rows = std::min(kTile, layer.out_rows() - place.row), line = layer.out_columns() * out.channels;
  const int64_t columns = std::min(kTile, layer.out_columns() - place.column);
  const int64_t corner = (place.image * layer.out_rows() + place.row) * line + place.column * out.channels;
  float* to = (out.epilogue.pre_activation ? out.epilogue.pre_activation : out.y) + corner;
  const bool whole = rows == kTile && columns == kTile;
  const Square<float> square =
      whole ? Square<float>{to, line, out.channels} : Square<float>{scratch, kTile * out.channels, out.channels};
  Transform(WinogradTransform::kOutput, PlanesAt(planes, plane), square, out.channels, out.epilogue.bias);
  for (int64_t r = 0; r < rows; ++r) {
    if (!whole) std::copy_n(scratch + r * square.row, columns * out.channels, to + r * line);
    if (out.epilogue.activation != Activation::kNone || out.epilogue.pre_activation) {
      gemm::ActivateBlock(out.epilogue.activation, to + r * line, out.y + corner + r * line, out.channels, columns,
                          out.channels);
    }
  }
}

// The filters of 36 planes as right-hand sides of products, packed: [in, out] each.
struct Filters {
  const Kernel& kernel;
  int64_t plane_numbers;
  Buffer<float> numbers;

  const float* plane(int64_t p) const { return numbers.data() + p * plane_numbers; }
};

// G g Gᵀ of filters [first, first + count); where `turned`, of those channels of all filters, taps from last to first.
// Planes [filters, channels].
void TransformFilters(const float* weight, int64_t out, int64_t in, bool turned, int64_t first, int64_t count,
                      float* planes) {
  constexpr int64_t kTaps = kWinogradFilter * kWinogradFilter;
  const int64_t channels = turned ? count : in, filters = turned ? out : count;
  for (int64_t f = 0; f < filters; ++f) {
    const float* filter = weight + (turned ? f * kTaps * in + first : (first + f) * kTaps * in);
    const Square<const float> taps = turned ? Square<const float>{filter + (kTaps - 1) * in, -kWinogradFilter * in, -in}
                                            : Square<const float>{filter, kWinogradFilter * in, in};
    Transform(WinogradTransform::kFilter, taps, PlanesAt(planes + f * channels, filters * channels), channels);
  }
}

// weight [out, 3, 3, in]. `turned`: read from outputs to inputs, and from the last tap to the first. A panel of all
// planes at a time, which is packed while it is near.
Filters PackFilters(const float* weight, int64_t out, int64_t in, bool turned) {
  const int64_t k = turned ? out : in, n = turned ? in : out;
  const Kernel& kernel = gemm::KernelFor(Precision::kFloat32, n);
  const int64_t words = DepthWords(kernel, k), plane = words * RoundUp(n, kernel.lanes), panel = kernel.panel;
  Filters filters{kernel, plane, Buffer<float>(kPlanes * plane)};
  ParallelFor(CeilDiv(n, panel), 1, [&](int64_t task, int64_t) {
    const int64_t first = task * panel, count = std::min(panel, n - first);
    Buffer<float> planes(kPlanes * k * count);
    TransformFilters(weight, out, in, turned, first, count, planes.data());
    for (int64_t p = 0; p < kPlanes; ++p) {
      const float* matrix = planes.data() + p * k * count;
      const gemm::MatrixView view = turned ? gemm::MatrixView{matrix, count, 1} : gemm::MatrixView{matrix, 1, k};
      kernel.pack_b(view, k, words, count, std::min(panel, RoundUp(count, kernel.lanes)),
                    filters.numbers.data() + p * plane + first * words);
    }
  });
  return filters;
}

// Tiles that go through all planes together: enough for a filter's matrix, which comes from the third-level cache, and
// few enough for their planes to stay near.
int64_t TilesAtOnce(const Kernel& kernel) { return RoundUp(30, kernel.rows); }

void Convolve(const Layer& layer, const float* x, const Filters& filters, const Output& out) {
  const int64_t tiles = layer.tiles(), at_once = std::min(TilesAtOnce(filters.kernel), tiles);
  ParallelFor(tiles, at_once, [&](int64_t begin, int64_t end) {
    const int64_t count = end - begin, in_plane = count * layer.channels, out_plane = count * out.channels;
    Buffer<float> planes(kPlanes * in_plane), products(kPlanes * out_plane);
    Buffer<float> scratch(kPatch * kPatch * std::max(layer.channels, out.channels));
    TransformPatches(layer, x, begin, count, 0, layer.channels, scratch.data(), planes.data());
    for (int64_t p = 0; p < kPlanes; ++p) {
      gemm::MultiplyAll(filters.kernel, {planes.data() + p * in_plane, layer.channels, 1}, filters.plane(p), count,
                        out.channels, layer.channels, products.data() + p * out_plane, out.channels, {});
    }
    for (int64_t t = 0; t < count; ++t) {
      WriteTile(layer, out, PlaceOf(layer, begin + t), products.data() + t * out.channels, out_plane, scratch.data());
    }
  });
}

Layer InputOf(const Conv2dShape& s) {
  return {s.batch, s.rows.size, s.columns.size, s.channels, s.rows.padding, s.columns.padding};
}

// --- the gradient of the weight

// How the sum over all tiles is cut: into ranges, each with a sum of its own, and into channels. Depends on the shape
// alone, so that the order of the sums does not depend on the number of threads.
struct SumGrid {
  int64_t ranges, blocks;
};

SumGrid ChooseSumGrid(int64_t tiles, int64_t in, int64_t out) {
  constexpr int64_t kTasks = 16, kFewestTiles = 64, kFewestChannels = 32, kMostNumbers = 4 << 20;
  const int64_t most = std::min({kTasks, tiles / kFewestTiles, kMostNumbers / (kPlanes * in * out)});
  const int64_t ranges = std::max<int64_t>(1, most);
  return {ranges, std::clamp<int64_t>(kTasks / ranges, 1, CeilDiv(in, kFewestChannels))};
}

// A dy Aᵀ of tiles [first, first + count): planes [36][count, channels]. Outputs that are not there have no gradient.
void TransformGradients(const Layer& layer, const float* dy, int64_t channels, int64_t first, int64_t count,
                        float* scratch, float* planes) {
  const int64_t rows = layer.out_rows(), columns = layer.out_columns();
  for (int64_t t = 0; t < count; ++t) {
    const Place place = PlaceOf(layer, first + t);
    const float* image = dy + place.image * rows * columns * channels;
    const Square<const float> tile =
        ReadSquare(image, rows, columns, channels, place.row, place.column, kTile, scratch);
    Transform(WinogradTransform::kOutputGradient, tile, PlanesAt(planes + t * channels, count * channels), channels);
  }
}

// sums [36][out, layer.channels] = what tiles [first, end) give to channels [channel, channel + taken).
void SumTiles(const Layer& layer, const float* x, const float* dy, int64_t out, int64_t first, int64_t end,
              int64_t channel, int64_t taken, float* sums) {
  constexpr int64_t kMost = 64;
  const Kernel& kernel = gemm::KernelFor(Precision::kFloat32, taken);
  const int64_t most = std::min(kMost, end - first);
  Buffer<float> inputs(kPlanes * most * taken), gradients(kPlanes * most * out);
  Buffer<float> scratch(kPatch * kPatch * std::max(layer.channels, out));
  for (int64_t at = first; at < end; at += most) {
    const int64_t count = std::min(most, end - at);
    TransformPatches(layer, x, at, count, channel, taken, scratch.data(), inputs.data());
    TransformGradients(layer, dy, out, at, count, scratch.data(), gradients.data());
    Epilogue epilogue;
    epilogue.accumulate = at > first;
    for (int64_t p = 0; p < kPlanes; ++p) {
      const Buffer<uint8_t> packed =
          gemm::PackAll(kernel, gemm::MatrixView{inputs.data() + p * count * taken, taken, 1}, count, taken);
      gemm::MultiplyAll(kernel, {gradients.data() + p * count * out, 1, out},
                        reinterpret_cast<const float*>(packed.data()), out, taken, count,
                        sums + p * out * layer.channels + channel, layer.channels, epilogue);
    }
  }
}

}  // namespace
}  // namespace vision

bool SuitsWinograd(const Conv2dShape& s, Precision precision) {
  // Of fewer tiles in an image the filters would cost more than they save where the batch is one image.
  constexpr int64_t kFewestChannels = 32, kFewestTiles = 16;
  const auto suits = [](const WindowAxis& axis) {
    return axis.kernel == vision::kWinogradFilter && axis.stride == 1 && axis.padding < vision::kWinogradFilter;
  };
  const auto tiles = [](const WindowAxis& axis) { return gemm::CeilDiv(axis.outputs(), vision::kWinogradOutputs); };
  return precision == Precision::kFloat32 && s.groups == 1 && suits(s.rows) && suits(s.columns) &&
         std::min(s.channels, s.out_channels) >= kFewestChannels && tiles(s.rows) * tiles(s.columns) >= kFewestTiles;
}

void WinogradForward(const Conv2dShape& s, const float* x, const float* weight, const Epilogue& epilogue, float* y) {
  CountProducts(s, Precision::kFloat32);
  const vision::Filters filters = vision::PackFilters(weight, s.out_channels, s.channels, false);
  vision::Convolve(vision::InputOf(s), x, filters, {y, s.out_channels, epilogue});
}

void WinogradInputGradient(const Conv2dShape& s, const float* dy, const float* weight, float* dx) {
  CountProducts(s, Precision::kFloat32);
  const vision::Filters filters = vision::PackFilters(weight, s.out_channels, s.channels, true);
  const int64_t most = vision::kWinogradFilter - 1;
  const vision::Layer layer{s.batch,        s.rows.outputs(),      s.columns.outputs(),
                            s.out_channels, most - s.rows.padding, most - s.columns.padding};
  vision::Convolve(layer, dy, filters, {dx, s.channels, {}});
}

void WinogradWeightGradient(const Conv2dShape& s, const float* x, const float* dy, float* dweight) {
  using namespace vision;
  CountProducts(s, Precision::kFloat32);
  const Layer layer = InputOf(s);
  const int64_t in = s.channels, out = s.out_channels, numbers = kPlanes * out * in, tiles = layer.tiles();
  if (tiles == 0) {
    std::fill_n(dweight, out * s.depth(), 0.0f);
    return;
  }
  const SumGrid grid = ChooseSumGrid(tiles, in, out);
  Buffer<float> sums(grid.ranges * numbers), total(grid.ranges > 1 ? numbers : 0);
  ParallelFor(grid.ranges * grid.blocks, 1, [&](int64_t task, int64_t) {
    const int64_t range = task / grid.blocks, block = task % grid.blocks;
    const int64_t channel = block * in / grid.blocks, end = (block + 1) * in / grid.blocks;
    SumTiles(layer, x, dy, out, range * tiles / grid.ranges, (range + 1) * tiles / grid.ranges, channel, end - channel,
             sums.data() + range * numbers);
  });
  if (grid.ranges > 1) ColumnSums(sums.data(), grid.ranges, numbers, numbers, false, total.data());
  const float* planes = grid.ranges > 1 ? total.data() : sums.data();
  for (int64_t o = 0; o < out; ++o) {
    Transform(WinogradTransform::kFilterGradient, PlanesAt(planes + o * in, out * in),
              {dweight + o * s.depth(), kWinogradFilter * in, in}, in);
  }
}

}  // namespace attnkit::kernels
