// attnkit/kernels/vision.h on CUDA: convolution and its gradients as products over windows that are read where they
// lie.
#include <type_traits>
#include <vector>

#include "cuda/activation.h"
#include "cuda/conv2d_tiles.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/packed.h"
#include "cuda/scratch.h"
#include "cuda/window.h"
#include "kernels/vision/count.h"

namespace attnkit::cuda {
namespace {

using kernels::Conv2dShape;
using kernels::Epilogue;
using kernels::Precision;

Reach ReachOf(const kernels::WindowAxis& axis) {
  return {axis.size, axis.outputs(), axis.kernel, axis.stride, -axis.padding};
}

// Of the first group.
View InputOf(const Conv2dShape& s, const float* x) {
  return {x, s.channels, s.group_channels(), ReachOf(s.rows), ReachOf(s.columns)};
}

// ----- forward

template <typename Number>
struct ForwardProblem {
  static constexpr bool kMayRound = std::is_same_v<Number, uint16_t>, rounds = kMayRound;
  View view;        // of the first group
  int64_t outputs;  // of all images
  int64_t group_outputs, out_channels;
  // [depth, group_outputs] of the only group; or a table of those of each.
  const Number* filters;
  const Number* const* of_groups;
  const float* bias;
  kernels::Activation activation;
  float *pre, *y;

  struct Local {
    View view;
    const Number* filters;
    int64_t first;  // output channel of the group
  };

  __device__ bool Find(int64_t block, int side, Tile& tile, Local& local) const {
    const int64_t across = TilesOf(group_outputs, side), down = TilesOf(outputs, side);
    const int64_t group = block / across / down;
    tile = {block / across % down * side, block % across * side, 0, view.depth()};
    local.view = view;
    local.view.x += group * view.channels;
    local.first = group * group_outputs;
    local.filters = of_groups ? of_groups[group] : filters;
    return true;
  }
  template <int kMicro>
  __device__ WindowRows<kMicro> Left(const Local& local, const Tile& tile) const {
    return {local.view, tile.row, outputs};
  }
  template <int kMicro>
  __device__ MatrixRows<AlongRows<kMicro>, kMicro, Number> Right(const Local& local, const Tile& tile) const {
    return {local.filters, 1, group_outputs, tile.column, group_outputs};
  }
  __device__ void Write(const Local& local, int64_t row, int64_t column, float sum) const {
    if (row >= outputs || column >= group_outputs) return;
    const int64_t at = row * out_channels + local.first + column;
    if (bias) sum += bias[local.first + column];
    if (pre) pre[at] = sum;
    y[at] = Activate(activation, sum);
  }
};

template <typename Number>
void Forward(const Conv2dShape& s, const float* x, const std::vector<const Number*>& filters, const Epilogue& epilogue,
             float* y) {
  const Uploaded<const Number*> table(s.groups > 1 ? filters.data() : nullptr, s.groups);
  const ForwardProblem<Number> problem{
      InputOf(s, x), s.pixels(),    s.group_outputs(),   s.out_channels,          filters[0],
      table.data(),  epilogue.bias, epilogue.activation, epilogue.pre_activation, y};
  LaunchTiles(problem, s.pixels(), s.group_outputs(), s.groups);
}

// ----- the gradient of the input

// Inputs phase, phase + stride, ... of an axis are reached by the taps of one residue alone; seen from an input they
// count backwards. The taps of a residue lie together in the turned filters, behind those of smaller ones.
struct Residues {
  int64_t kernel, stride;
  __host__ __device__ int64_t taps(int64_t residue) const {
    return residue < kernel ? TilesOf(kernel - residue, stride) : 0;
  }
  __host__ __device__ int64_t before(int64_t residue) const {
    const int64_t last = residue < kernel % stride ? residue : kernel % stride;
    return residue * (kernel / stride) + last;
  }
};

struct TurnBody {
  const float* weight;  // [groups * out, rows, columns, in]
  Residues rows, columns;
  int64_t in, out;
  float* turned;  // of each group: of each residue of the rows and the columns: [row tap, column tap, out, in]

  __device__ void operator()(int64_t i) const {
    const Spot from(i, rows.kernel, columns.kernel, in);
    const int64_t ry = from.row % rows.stride, rx = from.column % columns.stride;
    const int64_t ty = rows.taps(ry) - 1 - from.row / rows.stride, across = columns.taps(rx);
    const int64_t tx = across - 1 - from.column / columns.stride;
    const int64_t before = from.image / out * rows.kernel * columns.kernel + rows.before(ry) * columns.kernel +
                           rows.taps(ry) * columns.before(rx);
    turned[((before + ty * across + tx) * out + from.image % out) * in + from.channel] = weight[i];
  }
};

struct InputGradientProblem {
  static constexpr bool kMayRound = true;
  const float *dy, *turned;
  int64_t batch;
  SlidingAxis rows, columns;
  int64_t in, out, channels, out_channels;
  bool rounds;
  float* dx;

  struct Local {
    View view;
    int64_t row_phase, column_phase, group, inputs;
    const float* filters;
  };

  __host__ __device__ static int64_t Phases(const SlidingAxis& axis) {
    return axis.stride < axis.size ? axis.stride : axis.size;
  }
  // Of the phase that has most.
  __host__ __device__ static int64_t MostInputs(const SlidingAxis& axis) { return TilesOf(axis.size, axis.stride); }
  __host__ __device__ int64_t most_inputs() const { return batch * MostInputs(rows) * MostInputs(columns); }

  __device__ static Reach ReachOfPhase(const SlidingAxis& axis, int64_t phase, int64_t& residue) {
    residue = (phase + axis.padding) % axis.stride;
    const int64_t taps = Residues{axis.kernel, axis.stride}.taps(residue);
    const int64_t shift = (phase + axis.padding - residue) / axis.stride - (taps - 1);
    return {axis.outputs, TilesOf(axis.size - phase, axis.stride), taps, 1, shift};
  }

  __device__ bool Find(int64_t block, int side, Tile& tile, Local& local) const {
    const int64_t across = TilesOf(in, side), down = TilesOf(most_inputs(), side);
    tile.column = block % across * side, block /= across;
    tile.row = block % down * side, block /= down;
    local.column_phase = block % Phases(columns), block /= Phases(columns);
    local.row_phase = block % Phases(rows), local.group = block / Phases(rows);
    int64_t row_residue, column_residue;
    local.view.x = dy + local.group * out;
    local.view.pixel = out_channels, local.view.channels = out;
    local.view.rows = ReachOfPhase(rows, local.row_phase, row_residue);
    local.view.columns = ReachOfPhase(columns, local.column_phase, column_residue);
    local.inputs = batch * local.view.outputs();
    tile.begin = 0, tile.end = local.view.depth();
    const int64_t before = local.group * rows.kernel * columns.kernel +
                           Residues{rows.kernel, rows.stride}.before(row_residue) * columns.kernel +
                           local.view.rows.taps * Residues{columns.kernel, columns.stride}.before(column_residue);
    local.filters = turned + before * out * in;
    return tile.row < local.inputs;
  }
  template <int kMicro>
  __device__ WindowRows<kMicro> Left(const Local& local, const Tile& tile) const {
    return {local.view, tile.row, local.inputs};
  }
  template <int kMicro>
  __device__ MatrixRows<AlongRows<kMicro>, kMicro> Right(const Local& local, const Tile& tile) const {
    return {local.filters, 1, in, tile.column, in};
  }
  __device__ void Write(const Local& local, int64_t row, int64_t column, float sum) const {
    if (row >= local.inputs || column >= in) return;
    const int64_t x = row % local.view.columns.outputs * columns.stride + local.column_phase;
    row /= local.view.columns.outputs;
    const int64_t y = row % local.view.rows.outputs * rows.stride + local.row_phase;
    const int64_t image = row / local.view.rows.outputs;
    dx[((image * rows.size + y) * columns.size + x) * channels + local.group * in + column] = sum;
  }
};

// ----- the gradient of the weight

struct WeightGradientProblem {
  static constexpr bool kMayRound = true;
  View view;        // of the first group
  const float* dy;  // [outputs, out_channels]
  int64_t outputs, range, ranges, out, out_channels;
  bool rounds;
  float* sums;  // [ranges, out_channels, depth]

  struct Local {
    View view;
    const float* dy;
    float* sums;
  };

  __device__ bool Find(int64_t block, int side, Tile& tile, Local& local) const {
    const int64_t across = TilesOf(view.depth(), side), down = TilesOf(out, side);
    tile.column = block % across * side, block /= across;
    tile.row = block % down * side, block /= down;
    const int64_t at = block % ranges, group = block / ranges;
    tile.begin = at * range;
    tile.end = tile.begin + range < outputs ? tile.begin + range : outputs;
    local.view = view;
    local.view.x += group * view.channels;
    local.dy = dy + group * out;
    local.sums = sums + (at * out_channels + group * out) * view.depth();
    return true;
  }
  template <int kMicro>
  __device__ MatrixRows<AlongRows<kMicro>, kMicro> Left(const Local& local, const Tile& tile) const {
    return {local.dy, 1, out_channels, tile.row, out};
  }
  template <int kMicro>
  __device__ WindowColumns<kMicro> Right(const Local& local, const Tile& tile) const {
    return {local.view, tile.column, view.depth()};
  }
  __device__ void Write(const Local& local, int64_t row, int64_t column, float sum) const {
    if (row < out && column < view.depth()) local.sums[row * view.depth() + column] = sum;
  }
};

struct AddRangesBody {
  const float* sums;
  int64_t ranges, size;
  float* total;
  __device__ void operator()(int64_t i) const {
    float sum = 0.0f;
    for (int64_t r = 0; r < ranges; ++r) sum += sums[r * size + i];
    total[i] = sum;
  }
};

// Into how many ranges of outputs the sum is cut, so that there are blocks enough; of the shape alone, as it decides on
// the order of the sums.
int64_t RangesOf(const Conv2dShape& s) {
  constexpr int64_t kSide = kTileSide * kSmallMicro, kFewestOutputs = 256, kMostNumbers = 32 << 20;
  const int64_t tiles = TilesOf(s.group_outputs(), kSide) * TilesOf(s.depth(), kSide) * s.groups;
  const int64_t most =
      std::min(TilesOf(s.pixels(), kFewestOutputs), kMostNumbers / std::max<int64_t>(1, s.out_channels * s.depth()));
  return std::max<int64_t>(1, std::min(TilesOf(kWantedBlocks, tiles), most));
}

}  // namespace

void Conv2dForward(const Conv2dShape& s, const float* x, const std::vector<const kernels::PackedMatrix*>& weights,
                   Precision precision, float* y, const Epilogue& epilogue) {
  kernels::CountProducts(s, precision);
  if (precision == Precision::kBFloat16) {
    std::vector<const uint16_t*> filters;
    for (const kernels::PackedMatrix* weight : weights) filters.push_back(BFloat16s(*weight));
    Forward(s, x, filters, epilogue, y);
  } else {
    std::vector<const float*> filters;
    for (const kernels::PackedMatrix* weight : weights) filters.push_back(Floats(*weight));
    Forward(s, x, filters, epilogue, y);
  }
}

void Conv2dInputGradient(const Conv2dShape& s, const float* dy, const float* weight, Precision precision, float* dx) {
  kernels::CountProducts(s, precision);
  const int64_t in = s.group_channels(), out = s.group_outputs(), size = s.out_channels * s.depth();
  const Scratch<float> turned(size);
  ForEach(
      size,
      TurnBody{weight, {s.rows.kernel, s.rows.stride}, {s.columns.kernel, s.columns.stride}, in, out, turned.data()});
  const InputGradientProblem problem{dy, turned.data(), s.batch,    s.rows,         s.columns,
                                     in, out,           s.channels, s.out_channels, precision == Precision::kBFloat16,
                                     dx};
  LaunchTiles(problem, problem.most_inputs(), in,
              s.groups * problem.Phases(problem.rows) * problem.Phases(problem.columns));
}

void Conv2dWeightGradient(const Conv2dShape& s, const float* x, const float* dy, Precision precision, float* dweight) {
  kernels::CountProducts(s, precision);
  const int64_t wanted = RangesOf(s), size = s.out_channels * s.depth();
  const int64_t range = std::max<int64_t>(1, TilesOf(TilesOf(s.pixels(), wanted), kTileDepth)) * kTileDepth;
  const int64_t ranges = std::max<int64_t>(1, TilesOf(s.pixels(), range));
  const Scratch<float> sums(ranges > 1 ? ranges * size : 0);
  const WeightGradientProblem problem{InputOf(s, x),
                                      dy,
                                      s.pixels(),
                                      range,
                                      ranges,
                                      s.group_outputs(),
                                      s.out_channels,
                                      precision == Precision::kBFloat16,
                                      ranges > 1 ? sums.data() : dweight};
  LaunchTiles(problem, s.group_outputs(), s.depth(), s.groups * ranges);
  if (ranges > 1) ForEach(size, AddRangesBody{sums.data(), ranges, size, dweight});
}

}  // namespace attnkit::cuda
