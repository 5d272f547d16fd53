// CopyStrided of attnkit/kernels/memory.h on CUDA: transposition, broadcasting, slicing.
#include <algorithm>
#include <vector>

#include "cuda/for_rows.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"
#include "kernels/axes.h"

namespace attnkit::cuda {
namespace {

using kernels::Axis;

constexpr int kFew = 8;  // axes that travel with the launch

struct FewAxes {
  int count;
  Axis axes[kFew];
};
struct ManyAxes {
  int count;
  const Axis* axes;  // of the device
};

int64_t Product(const std::vector<Axis>& axes) {
  int64_t product = 1;
  for (const Axis& axis : axes) product *= axis.size;
  return product;
}

// Calls act(axes) with what a kernel is given.
template <typename Act>
void WithAxes(const std::vector<Axis>& axes, const Act& act) {
  const int count = static_cast<int>(axes.size());
  if (count <= kFew) {
    FewAxes few{count, {}};
    std::copy(axes.begin(), axes.end(), few.axes);
    act(few);
  } else {
    const Uploaded<Axis> uploaded(axes.data(), count);
    act(ManyAxes{count, uploaded.data()});
  }
}

// Index: 32 bits where all numbers fit, whose division costs a GPU a third of that of 64.
template <typename Index, typename Axes>
__device__ void Locate(const Axes& axes, int64_t number, int64_t* x, int64_t* out) {
  Index rest = static_cast<Index>(number);
  *x = *out = 0;
  for (int a = axes.count - 1; a >= 0; --a) {
    const Index size = static_cast<Index>(axes.axes[a].size), next = rest / size, index = rest - next * size;
    *x += static_cast<int64_t>(index) * axes.axes[a].stride;
    *out += static_cast<int64_t>(index) * axes.axes[a].out_stride;
    rest = next;
  }
}

template <typename Piece, typename Index, typename Axes>
struct ReadBody {
  const Piece* x;
  Axes axes;
  Piece* out;
  __device__ void operator()(int64_t i) const {
    int64_t from, to;
    Locate<Index>(axes, i, &from, &to);
    out[i] = x[from];
  }
};

template <typename Piece>
void Read(const Piece* x, const std::vector<Axis>& axes, Piece* out) {
  const int64_t size = Product(axes);
  WithAxes(axes, [&](const auto& given) {
    using Axes = std::decay_t<decltype(given)>;
    if (size <= INT32_MAX) {
      ForEach(size, ReadBody<Piece, uint32_t, Axes>{x, given, out});
    } else {
      ForEach(size, ReadBody<Piece, int64_t, Axes>{x, given, out});
    }
  });
}

// Rows of out that stand as whole pieces of 16 bytes in x too.
bool OfPieces(const float* x, const std::vector<Axis>& axes, const float* out) {
  bool whole = axes.back().stride == 1 && ByPieces(axes.back().size * static_cast<int64_t>(sizeof(float)), {x, out});
  for (size_t i = 0; i + 1 < axes.size(); ++i) whole = whole && axes[i].stride % 4 == 0;
  return whole;
}

constexpr int kSide = 32, kTileThreads = 256;

// A tile goes through shared memory, so that both x, contiguous along `across`, and out, contiguous along `last`, are
// met by neighbouring threads; a column more keeps a column's numbers in banks of their own.
template <typename Axes>
__global__ void TransposeKernel(const float* x, Axes rest, Axis across, Axis last, int64_t across_tiles,
                                int64_t last_tiles, int64_t tiles, float* out) {
  __shared__ float tile[kSide][kSide + 1];
  const int lane = static_cast<int>(threadIdx.x) % kSide, line = static_cast<int>(threadIdx.x) / kSide;
  for (int64_t t = blockIdx.x; t < tiles; t += gridDim.x) {
    const int64_t first_across = t % across_tiles * kSide, first_last = t / across_tiles % last_tiles * kSide;
    int64_t from, to;
    Locate<int64_t>(rest, t / across_tiles / last_tiles, &from, &to);
    for (int i = line; i < kSide; i += kTileThreads / kSide) {
      if (first_across + lane < across.size && first_last + i < last.size)
        tile[i][lane] = x[from + first_across + lane + (first_last + i) * last.stride];
    }
    __syncthreads();
    for (int i = line; i < kSide; i += kTileThreads / kSide) {
      if (first_across + i < across.size && first_last + lane < last.size)
        out[to + (first_across + i) * across.out_stride + first_last + lane] = tile[lane][i];
    }
    __syncthreads();
  }
}

// `across`: the axis that is contiguous in x, while the last one is in out.
void Transpose(const float* x, std::vector<Axis> axes, size_t across, float* out) {
  const Axis last = axes.back(), rows = axes[across];
  axes.pop_back();
  axes.erase(axes.begin() + static_cast<int64_t>(across));
  const int64_t across_tiles = Blocks(rows.size, kSide), last_tiles = Blocks(last.size, kSide);
  const int64_t tiles = Product(axes) * across_tiles * last_tiles;
  WithAxes(axes, [&](const auto& rest) {
    Launch({dim3(static_cast<unsigned>(std::min<int64_t>(tiles, 1 << 24))), dim3(kTileThreads)},
           TransposeKernel<std::decay_t<decltype(rest)>>, x, rest, rows, last, across_tiles, last_tiles, tiles, out);
  });
}
}  // namespace

void CopyStrided(const float* x, const std::vector<int64_t>& strides, const std::vector<int64_t>& sizes, float* out) {
  if (std::find(sizes.begin(), sizes.end(), 0) != sizes.end()) return;
  std::vector<Axis> axes = kernels::JoinedAxes(strides, sizes);
  if (axes.empty()) axes.push_back({1, 1, 1});
  if (axes.size() == 1 && axes[0].stride == 1) return Copy(x, axes[0].size, out);
  if (OfPieces(x, axes, out)) {
    axes.back().size /= 4;
    for (size_t i = 0; i + 1 < axes.size(); ++i) axes[i].stride /= 4;
    return Read(reinterpret_cast<const float4*>(x), axes, reinterpret_cast<float4*>(out));
  }
  constexpr int64_t kNarrow = kSide / 4;  // a tile would be mostly empty
  const auto across = std::find_if(axes.begin(), axes.end(), [](const Axis& axis) { return axis.stride == 1; });
  if (axes.back().stride <= 1 || across == axes.end() || across->size < kNarrow || axes.back().size < kNarrow)
    return Read(x, axes, out);
  Transpose(x, axes, across - axes.begin(), out);
}

}  // namespace attnkit::cuda
