// attnkit/kernels/vision.h on CUDA: maximum and mean over windows. Every number is made once, of all that it meets, so
// neither direction adds into memory that another thread may write; neighbouring threads are neighbouring channels.
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/window.h"

namespace attnkit::cuda {
namespace {

struct Pool {
  int64_t batch;
  SlidingAxis rows, columns;
  int64_t channels;

  explicit Pool(const kernels::PoolShape& s) : batch(s.batch), rows(s.rows), columns(s.columns), channels(s.channels) {}

  int64_t outputs() const { return batch * rows.outputs * columns.outputs * channels; }
  int64_t inputs() const { return batch * rows.size * columns.size * channels; }
};

// A NaN is the largest, as in PyTorch.
struct MaximumBody {
  Pool pool;
  const float* x;
  float *y, *taps;

  __device__ void operator()(int64_t i) const {
    const Spot to(i, pool.rows.outputs, pool.columns.outputs, pool.channels);
    const int64_t top = pool.rows.FirstTap(to.row), bottom = pool.rows.EndTap(to.row);
    const int64_t left = pool.columns.FirstTap(to.column), right = pool.columns.EndTap(to.column);
    const float* image = x + to.image * pool.rows.size * pool.columns.size * pool.channels + to.channel;
    float best = 0.0f;
    int64_t place = -1;
    for (int64_t ty = top; ty < bottom; ++ty) {
      const int64_t line = (pool.rows.Begin(to.row) + ty) * pool.columns.size + pool.columns.Begin(to.column);
      for (int64_t tx = left; tx < right; ++tx) {
        const float v = image[(line + tx) * pool.channels];
        if (place < 0 || v > best || v != v) best = v, place = ty * pool.columns.kernel + tx;
      }
    }
    y[i] = best;
    if (taps) taps[i] = static_cast<float>(place);
  }
};

// Calls term(number of the output, its tap) for all windows that input i lies in, taps rising.
template <typename Term>
__device__ float SumOverWindows(const Pool& pool, int64_t i, const Term& term) {
  const Spot at(i, pool.rows.size, pool.columns.size, pool.channels);
  const int64_t top = pool.rows.FirstOutput(at.row), left = pool.columns.FirstOutput(at.column);
  const int64_t right = pool.columns.LastOutput(at.column);
  float sum = 0.0f;
  for (int64_t oy = pool.rows.LastOutput(at.row); oy >= top; --oy) {
    for (int64_t ox = right; ox >= left; --ox) {
      const int64_t tap = pool.rows.Tap(at.row, oy) * pool.columns.kernel + pool.columns.Tap(at.column, ox);
      const int64_t output = (at.image * pool.rows.outputs + oy) * pool.columns.outputs + ox;
      sum += term(output * pool.channels + at.channel, tap);
    }
  }
  return sum;
}

struct OfMaximum {
  const float *dy, *taps;
  __device__ float operator()(int64_t output, int64_t tap) const {
    return taps[output] == static_cast<float>(tap) ? dy[output] : 0.0f;
  }
};

struct OfMean {
  const float* dy;
  __device__ float operator()(int64_t output, int64_t) const { return dy[output]; }
};

template <typename Term>
struct GradientBody {
  Pool pool;
  Term term;
  float share;
  float* dx;
  __device__ void operator()(int64_t i) const { dx[i] = SumOverWindows(pool, i, term) * share; }
};

struct MeanBody {
  Pool pool;
  const float* x;
  float share;
  float* y;

  __device__ void operator()(int64_t i) const {
    const Spot to(i, pool.rows.outputs, pool.columns.outputs, pool.channels);
    const int64_t top = pool.rows.FirstTap(to.row), bottom = pool.rows.EndTap(to.row);
    const int64_t left = pool.columns.FirstTap(to.column), right = pool.columns.EndTap(to.column);
    const float* image = x + to.image * pool.rows.size * pool.columns.size * pool.channels + to.channel;
    float sum = 0.0f;
    for (int64_t ty = top; ty < bottom; ++ty) {
      const int64_t line = (pool.rows.Begin(to.row) + ty) * pool.columns.size + pool.columns.Begin(to.column);
      for (int64_t tx = left; tx < right; ++tx) sum += image[(line + tx) * pool.channels];
    }
    y[i] = sum * share;
  }
};

float Share(const kernels::PoolShape& s) { return 1.0f / static_cast<float>(s.rows.kernel * s.columns.kernel); }

}  // namespace

void MaxPoolForward(const kernels::PoolShape& shape, const float* x, float* y, float* taps) {
  const Pool pool(shape);
  ForEach(pool.outputs(), MaximumBody{pool, x, y, taps});
}

void MaxPoolBackward(const kernels::PoolShape& shape, const float* dy, const float* taps, float* dx) {
  const Pool pool(shape);
  ForEach(pool.inputs(), GradientBody<OfMaximum>{pool, {dy, taps}, 1.0f, dx});
}

void AveragePoolForward(const kernels::PoolShape& shape, const float* x, float* y) {
  const Pool pool(shape);
  ForEach(pool.outputs(), MeanBody{pool, x, Share(shape), y});
}

void AveragePoolBackward(const kernels::PoolShape& shape, const float* dy, float* dx) {
  const Pool pool(shape);
  ForEach(pool.inputs(), GradientBody<OfMean>{pool, {dy}, Share(shape), dx});
}

}  // namespace attnkit::cuda
