// attnkit/kernels/vision.h on CUDA: 3 x 3 convolution of stride 1 by minimal filtering F(4 x 4, 3 x 3) (Winograd, 1980;
// Lavin and Gray, 2016): a quarter of the multiplications of the direct sum.
//
//   y = Aᵀ [(G g Gᵀ) ∘ (Bᵀ d B)] A,   dg = Gᵀ [(A dy Aᵀ) ∘ (Bᵀ d B)] G
//
// d is a patch of 6 x 6 pixels, y the 4 x 4 outputs that it makes, g the filter, and ∘ becomes 36 products of matrices
// over channels. The points are those of the CPU: 0, 1, -1, 1/2, -2 and infinity. Every output is made alone, in an
// order that depends on the shape only. As many tiles at a time as their planes have room.
#include "cuda/activation.h"
#include "cuda/conv2d_tiles.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"
#include "kernels/vision/count.h"
#include "kernels/vision/winograd_matrices.h"

namespace attnkit::cuda {
namespace {

using kernels::Conv2dShape;
using kernels::vision::FilterMatrix;
using kernels::vision::InputMatrix;
using kernels::vision::OutputMatrix;
using kernels::vision::Transposed;

constexpr int kOutputs = 4, kPatch = 6, kFilter = 3, kTaps = kFilter * kFilter, kPlanes = kPatch * kPatch;

// sum + a number of the matrix times x; unrolled, the number is known to the compiler, and zeros cost nothing.
__device__ inline float AddTerm(float sum, float factor, float x) {
  if (factor == 0.0f) return sum;
  if (factor == 1.0f) return sum + x;
  if (factor == -1.0f) return sum - x;
  return sum + factor * x;
}

// to = Matrix · from · Matrixᵀ.
template <class Matrix>
__device__ void Transform(const float (&from)[Matrix::kColumns][Matrix::kColumns],
                          float (&to)[Matrix::kRows][Matrix::kRows]) {
  constexpr int kFrom = Matrix::kColumns, kTo = Matrix::kRows;
  float half[kTo][kFrom];
  ATTNKIT_UNROLL
  for (int row = 0; row < kTo; ++row) {
    ATTNKIT_UNROLL
    for (int column = 0; column < kFrom; ++column) {
      float sum = 0.0f;
      ATTNKIT_UNROLL
      for (int i = 0; i < kFrom; ++i) sum = AddTerm(sum, Matrix::At(row, i), from[i][column]);
      half[row][column] = sum;
    }
  }
  ATTNKIT_UNROLL
  for (int row = 0; row < kTo; ++row) {
    ATTNKIT_UNROLL
    for (int column = 0; column < kTo; ++column) {
      float sum = 0.0f;
      ATTNKIT_UNROLL
      for (int i = 0; i < kFrom; ++i) sum = AddTerm(sum, Matrix::At(column, i), half[row][i]);
      to[row][column] = sum;
    }
  }
}

// A batch of images [batch, rows, columns, channels], cut into squares that begin every 4 pixels from (-row_padding,
// -column_padding) on; what lies outside of an image is zero.
struct Images {
  int64_t rows, columns, channels, row_padding, column_padding;
  int64_t tile_rows, tile_columns;

  __host__ __device__ int64_t tiles() const { return tile_rows * tile_columns; }  // of an image
};

// Where a tile begins.
struct Corner {
  int64_t image, row, column;
  __device__ Corner(const Images& s, int64_t tile) {
    image = tile / s.tiles();
    row = tile % s.tiles() / s.tile_columns * kOutputs - s.row_padding;
    column = tile % s.tile_columns * kOutputs - s.column_padding;
  }
};

// Squares of images to numbers of planes [36][tiles, channels]: patches by Bᵀ d B, outputs by A dy Aᵀ.
template <class Matrix>
struct SquaresBody {
  Images images;
  const float* x;
  int64_t first, tiles;
  float* planes;

  __device__ void operator()(int64_t i) const {
    constexpr int kSide = Matrix::kColumns;
    const Corner corner(images, first + i / images.channels);
    const float* image = x + corner.image * images.rows * images.columns * images.channels + i % images.channels;
    float from[kSide][kSide], to[kPatch][kPatch];
    ATTNKIT_UNROLL
    for (int r = 0; r < kSide; ++r) {
      ATTNKIT_UNROLL
      for (int c = 0; c < kSide; ++c) {
        const int64_t row = corner.row + r, column = corner.column + c;
        const bool inside = row >= 0 && row < images.rows && column >= 0 && column < images.columns;
        from[r][c] = inside ? image[(row * images.columns + column) * images.channels] : 0.0f;
      }
    }
    Transform<Matrix>(from, to);
    const int64_t plane = tiles * images.channels;
    ATTNKIT_UNROLL
    for (int p = 0; p < kPlanes; ++p) planes[p * plane + i] = to[p / kPatch][p % kPatch];
  }
};

// G g Gᵀ of weight [filters, 3, 3, channels]: planes [36][filters, channels]; turned, taps from last to first.
struct FiltersBody {
  const float* weight;
  int64_t channels, size;  // size: of a plane
  bool turned;
  float* planes;

  __device__ void operator()(int64_t i) const {
    const float* filter = weight + i / channels * kTaps * channels + i % channels;
    float from[kFilter][kFilter], to[kPatch][kPatch];
    ATTNKIT_UNROLL
    for (int t = 0; t < kTaps; ++t) from[t / kFilter][t % kFilter] = filter[(turned ? kTaps - 1 - t : t) * channels];
    Transform<FilterMatrix>(from, to);
    ATTNKIT_UNROLL
    for (int p = 0; p < kPlanes; ++p) planes[p * size + i] = to[p / kPatch][p % kPatch];
  }
};

// Aᵀ m A of planes [36][tiles, channels], and what follows a convolution.
struct OutputsBody {
  Images images;  // of outputs
  const float* planes;
  int64_t first, tiles;
  const float* bias;
  kernels::Activation activation;
  float *pre, *y;

  __device__ void operator()(int64_t i) const {
    const Corner corner(images, first + i / images.channels);
    const int64_t channel = i % images.channels, plane = tiles * images.channels;
    float from[kPatch][kPatch], to[kOutputs][kOutputs];
    ATTNKIT_UNROLL
    for (int p = 0; p < kPlanes; ++p) from[p / kPatch][p % kPatch] = planes[p * plane + i];
    Transform<OutputMatrix>(from, to);
    const float added = bias ? bias[channel] : 0.0f;
    ATTNKIT_UNROLL
    for (int r = 0; r < kOutputs; ++r) {
      ATTNKIT_UNROLL
      for (int c = 0; c < kOutputs; ++c) {
        const int64_t row = corner.row + r, column = corner.column + c;
        if (row >= images.rows || column >= images.columns) continue;
        const int64_t at = ((corner.image * images.rows + row) * images.columns + column) * images.channels + channel;
        const float value = to[r][c] + added;
        if (pre) pre[at] = value;
        y[at] = Activate(activation, value);
      }
    }
  }
};

// Gᵀ s G of the sums [ranges, 36][filters, channels].
struct FilterGradientBody {
  const float* sums;
  int64_t ranges, channels, size;
  float* dweight;

  __device__ void operator()(int64_t i) const {
    float from[kPatch][kPatch], to[kFilter][kFilter];
    ATTNKIT_UNROLL
    for (int p = 0; p < kPlanes; ++p) {
      float sum = 0.0f;
      for (int64_t range = 0; range < ranges; ++range) sum += sums[(range * kPlanes + p) * size + i];
      from[p / kPatch][p % kPatch] = sum;
    }
    Transform<Transposed<FilterMatrix>>(from, to);
    float* filter = dweight + i / channels * kTaps * channels + i % channels;
    ATTNKIT_UNROLL
    for (int t = 0; t < kTaps; ++t) filter[t * channels] = to[t / kFilter][t % kFilter];
  }
};

// One of the sides of the products of all planes: number k of row r of plane p at data[p * plane + r * row + k *
// depth].
struct Side {
  const float* data;
  int64_t plane, row, depth;
};

// For each plane, and each range of the depth, a product [rows, columns].
template <template <int> class LeftAlong, template <int> class RightAlong>
struct PlanesProblem {
  Side left, right;
  int64_t rows, columns, depth, range;
  bool adds;   // to what is there
  float* out;  // [ranges, 36][rows, columns]
  static constexpr bool kMayRound = false, rounds = false;

  struct Local {
    const float *left, *right;
    float* out;
  };

  __device__ bool Find(int64_t block, int side, Tile& tile, Local& local) const {
    const int64_t across = TilesOf(columns, side), down = TilesOf(rows, side);
    tile.column = block % across * side, block /= across;
    tile.row = block % down * side, block /= down;
    tile.begin = block / kPlanes * range;
    tile.end = tile.begin + range < depth ? tile.begin + range : depth;
    local.left = left.data + block % kPlanes * left.plane;
    local.right = right.data + block % kPlanes * right.plane;
    local.out = out + block * rows * columns;
    return true;
  }
  template <int kMicro>
  __device__ MatrixRows<LeftAlong<kMicro>, kMicro> Left(const Local& local, const Tile& tile) const {
    return {local.left, left.row, left.depth, tile.row, rows};
  }
  template <int kMicro>
  __device__ MatrixRows<RightAlong<kMicro>, kMicro> Right(const Local& local, const Tile& tile) const {
    return {local.right, right.row, right.depth, tile.column, columns};
  }
  __device__ void Write(const Local& local, int64_t row, int64_t column, float sum) const {
    if (row >= rows || column >= columns) return;
    float& to = local.out[row * columns + column];
    to = adds ? to + sum : sum;
  }
};

// Tiles whose planes of `channels` channels are made at a time.
int64_t TilesAtOnce(int64_t tiles, int64_t channels) {
  constexpr int64_t kMostNumbers = 64 << 20;
  return std::min(tiles, std::max<int64_t>(1, kMostNumbers / (kPlanes * channels)));
}

Images ImagesOf(int64_t rows, int64_t columns, int64_t channels, int64_t row_padding, int64_t column_padding) {
  return {rows,
          columns,
          channels,
          row_padding,
          column_padding,
          TilesOf(rows + 2 * row_padding - (kFilter - 1), kOutputs),
          TilesOf(columns + 2 * column_padding - (kFilter - 1), kOutputs)};
}

// The outputs of images under the same tiles.
Images OutputsOf(const Images& in, int64_t channels) {
  return {in.rows + 2 * in.row_padding - (kFilter - 1),
          in.columns + 2 * in.column_padding - (kFilter - 1),
          channels,
          0,
          0,
          in.tile_rows,
          in.tile_columns};
}

// Forward; and the gradient of the input, which is a forward with the filters turned: from outputs to inputs, taps from
// last to first. weight [out, 3, 3, in].
void Convolve(int64_t batch, const Images& from, const float* x, const float* weight, int64_t out, int64_t in,
              bool turned, const kernels::Epilogue& epilogue, float* y) {
  const Images to = OutputsOf(from, turned ? in : out);
  const int64_t tiles = batch * from.tiles(), most = TilesAtOnce(tiles, in + out);
  const Scratch<float> filters(kPlanes * out * in), planes(kPlanes * most * from.channels);
  const Scratch<float> products(kPlanes * most * to.channels);
  ForEach(out * in, FiltersBody{weight, in, out * in, turned, filters.data()});
  for (int64_t first = 0; first < tiles; first += most) {
    const int64_t count = std::min(most, tiles - first);
    ForEach(count * from.channels, SquaresBody<InputMatrix>{from, x, first, count, planes.data()});
    const Side left{planes.data(), count * from.channels, from.channels, 1};
    if (turned) {
      LaunchTiles(PlanesProblem<AlongDepth, AlongRows>{left,
                                                       {filters.data(), out * in, 1, in},
                                                       count,
                                                       to.channels,
                                                       from.channels,
                                                       from.channels,
                                                       false,
                                                       products.data()},
                  count, to.channels, kPlanes);
    } else {
      LaunchTiles(PlanesProblem<AlongDepth, AlongDepth>{left,
                                                        {filters.data(), out * in, in, 1},
                                                        count,
                                                        to.channels,
                                                        from.channels,
                                                        from.channels,
                                                        false,
                                                        products.data()},
                  count, to.channels, kPlanes);
    }
    ForEach(count * to.channels, OutputsBody{to, products.data(), first, count, epilogue.bias, epilogue.activation,
                                             epilogue.pre_activation, y});
  }
}

// Into how many ranges the tiles that are there at a time are cut, so that there are blocks enough; of the shape alone.
int64_t RangesOf(int64_t tiles, int64_t in, int64_t out) {
  constexpr int64_t kSide = kTileSide * kSmallMicro, kFewestTiles = 128, kMostNumbers = 32 << 20;
  const int64_t blocks = TilesOf(in, kSide) * TilesOf(out, kSide) * kPlanes;
  const int64_t most = std::min(TilesOf(tiles, kFewestTiles), kMostNumbers / (kPlanes * in * out));
  return std::max<int64_t>(1, std::min(TilesOf(kWantedBlocks, blocks), most));
}

}  // namespace

void WinogradForward(const Conv2dShape& s, const float* x, const float* weight, const kernels::Epilogue& epilogue,
                     float* y) {
  kernels::CountProducts(s, kernels::Precision::kFloat32);
  const Images from = ImagesOf(s.rows.size, s.columns.size, s.channels, s.rows.padding, s.columns.padding);
  Convolve(s.batch, from, x, weight, s.out_channels, s.channels, false, epilogue, y);
}

void WinogradInputGradient(const Conv2dShape& s, const float* dy, const float* weight, float* dx) {
  kernels::CountProducts(s, kernels::Precision::kFloat32);
  const Images from = ImagesOf(s.rows.outputs(), s.columns.outputs(), s.out_channels, kFilter - 1 - s.rows.padding,
                               kFilter - 1 - s.columns.padding);
  Convolve(s.batch, from, dy, weight, s.out_channels, s.channels, true, {}, dx);
}

void WinogradWeightGradient(const Conv2dShape& s, const float* x, const float* dy, float* dweight) {
  kernels::CountProducts(s, kernels::Precision::kFloat32);
  const Images from = ImagesOf(s.rows.size, s.columns.size, s.channels, s.rows.padding, s.columns.padding);
  const Images to = OutputsOf(from, s.out_channels);
  const int64_t in = s.channels, out = s.out_channels, tiles = s.batch * from.tiles();
  const int64_t most = TilesAtOnce(tiles, in + out), ranges = RangesOf(most, in, out);
  const int64_t range = std::max<int64_t>(1, TilesOf(most, ranges));
  const Scratch<float> inputs(kPlanes * most * in), gradients(kPlanes * most * out);
  const Scratch<float> sums(ranges * kPlanes * out * in);
  for (int64_t first = 0; first < tiles; first += most) {
    const int64_t count = std::min(most, tiles - first);
    ForEach(count * in, SquaresBody<InputMatrix>{from, x, first, count, inputs.data()});
    ForEach(count * out, SquaresBody<Transposed<OutputMatrix>>{to, dy, first, count, gradients.data()});
    // Of the last tiles a range may be empty: it adds zeros.
    LaunchTiles(PlanesProblem<AlongRows, AlongRows>{{gradients.data(), count * out, 1, out},
                                                    {inputs.data(), count * in, 1, in},
                                                    out,
                                                    in,
                                                    count,
                                                    range,
                                                    first > 0,
                                                    sums.data()},
                out, in, kPlanes * ranges);
  }
  ForEach(out * in, FilterGradientBody{sums.data(), tiles > 0 ? ranges : 0, in, out * in, dweight});
}

}  // namespace attnkit::cuda
