// Batch normalisation of columns (Ioffe & Szegedy, 2015), with the sum and the ReLU that follow it in residual
// networks.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/vision/batch_norm.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include <cmath>
#include <cstring>

#include "attnkit/allocator.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/kernels/vision.h"
#include "attnkit/threads.h"
#include "kernels/dispatch.h"
#include "kernels/grain.h"
#include "kernels/vector-inl.h"

#ifndef ATTNKIT_KERNELS_BATCH_NORM_ARGUMENTS
#define ATTNKIT_KERNELS_BATCH_NORM_ARGUMENTS
namespace attnkit::kernels {

struct BatchNormGradient {
  const float *dy, *x, *y;
  BatchNormColumns norm;
  int64_t columns;
  // Of each column: the means over the rows of g and of g * xhat; null with fixed statistics.
  const float *g_mean, *g_xhat_mean;
  float *dx, *dresidual;
};

}  // namespace attnkit::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

// The mean of each column of a few rows, and the sum of squared deviations from it.
void MomentsOfRows(const float* x, int64_t rows, int64_t columns, float* mean, float* squares) {
  const FloatVec share = hn::Set(Floats(), 1.0f / static_cast<float>(rows));
  std::memset(mean, 0, columns * sizeof(float));
  std::memset(squares, 0, columns * sizeof(float));
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = x + r * columns;
    ForVectors(columns, [=](auto access, int64_t i, int) ATTNKIT_BODY {
      access.Store(hn::Add(access.Load(mean + i), access.Load(row + i)), mean + i);
    });
  }
  ForVectors(columns, [=](auto access, int64_t i, int)
                          ATTNKIT_BODY { access.Store(hn::Mul(access.Load(mean + i), share), mean + i); });
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = x + r * columns;
    ForVectors(columns, [=](auto access, int64_t i, int) ATTNKIT_BODY {
      const FloatVec deviation = hn::Sub(access.Load(row + i), access.Load(mean + i));
      access.Store(hn::MulAdd(deviation, deviation, access.Load(squares + i)), squares + i);
    });
  }
}

void BatchNormRows(const float* x, const float* residual, const BatchNormColumns& norm, int64_t rows, int64_t columns,
                   bool relu, float* y) {
  const float *mean = norm.mean, *rstd = norm.rstd, *weight = norm.weight, *bias = norm.bias;
  const FloatVec zero = hn::Zero(Floats());
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t first = r * columns;
    ForVectors(columns, [=](auto access, int64_t i, int) ATTNKIT_BODY {
      const FloatVec scale = hn::Mul(access.Load(rstd + i), access.Load(weight + i));
      FloatVec v = hn::MulAdd(hn::Sub(access.Load(x + first + i), access.Load(mean + i)), scale, access.Load(bias + i));
      if (residual) v = hn::Add(v, access.Load(residual + first + i));
      access.Store(relu ? hn::IfThenElse(hn::Lt(v, zero), zero, v) : v, y + first + i);
    });
  }
}

// dy where the ReLU let through.
template <class Access>
HWY_INLINE FloatVec Passed(const BatchNormGradient& a, const Access& access, int64_t i) {
  const FloatVec dy = access.Load(a.dy + i);
  return a.y ? hn::IfThenElseZero(hn::Gt(access.Load(a.y + i), hn::Zero(Floats())), dy) : dy;
}

// The rows' part of the sums of g and, behind them, of g * xhat.
void BatchNormSums(const BatchNormGradient& a, int64_t begin, int64_t end, float* sums) {
  const float *mean = a.norm.mean, *rstd = a.norm.rstd;
  const int64_t columns = a.columns;
  std::memset(sums, 0, 2 * columns * sizeof(float));
  for (int64_t r = begin; r < end; ++r) {
    const int64_t first = r * columns;
    ForVectors(columns, [=, &a](auto access, int64_t i, int) ATTNKIT_BODY {
      const FloatVec g = Passed(a, access, first + i);
      const FloatVec xhat =
          hn::Mul(hn::Sub(access.Load(a.x + first + i), access.Load(mean + i)), access.Load(rstd + i));
      access.Store(hn::Add(access.Load(sums + i), g), sums + i);
      access.Store(hn::MulAdd(g, xhat, access.Load(sums + columns + i)), sums + columns + i);
    });
  }
}

void BatchNormInputGradient(const BatchNormGradient& a, int64_t begin, int64_t end) {
  const float *mean = a.norm.mean, *rstd = a.norm.rstd, *weight = a.norm.weight;
  for (int64_t r = begin; r < end; ++r) {
    const int64_t first = r * a.columns;
    ForVectors(a.columns, [=, &a](auto access, int64_t i, int) ATTNKIT_BODY {
      const FloatVec g = Passed(a, access, first + i);
      if (a.dx) {
        const FloatVec scale = hn::Mul(access.Load(rstd + i), access.Load(weight + i));
        FloatVec v = g;
        if (a.g_mean) {
          const FloatVec xhat =
              hn::Mul(hn::Sub(access.Load(a.x + first + i), access.Load(mean + i)), access.Load(rstd + i));
          v = hn::NegMulAdd(xhat, access.Load(a.g_xhat_mean + i), hn::Sub(g, access.Load(a.g_mean + i)));
        }
        access.Store(hn::Mul(v, scale), a.dx + first + i);
      }
      if (a.dresidual) access.Store(g, a.dresidual + first + i);
    });
  }
}

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {

void ColumnMoments(const float* x, int64_t rows, int64_t columns, float* mean, float* variance) {
  constexpr int64_t kMaxChunks = 1024;
  const int64_t grain = ReductionGrain(rows, columns, kMaxChunks), chunks = (rows + grain - 1) / grain;
  Buffer<float> partials(chunks * 2 * columns);
  auto* kernel = ATTNKIT_DISPATCH(MomentsOfRows);
  ParallelFor(rows, grain, [&](int64_t begin, int64_t end) {
    float* partial = partials.data() + begin / grain * 2 * columns;
    kernel(x + begin * columns, end - begin, columns, partial, partial + columns);
  });
  // Chan et al. (1979): parts with their own means are joined without cancellation.
  for (int64_t c = 0; c < columns; ++c) {
    double count = 0.0, joined = 0.0, squares = 0.0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
      const float* partial = partials.data() + chunk * 2 * columns;
      const double size = static_cast<double>(std::min(rows, (chunk + 1) * grain) - chunk * grain);
      const double gap = partial[c] - joined;
      squares += partial[columns + c] + gap * gap * count * size / (count + size);
      joined += gap * size / (count + size);
      count += size;
    }
    mean[c] = static_cast<float>(joined);
    variance[c] = static_cast<float>(squares / static_cast<double>(rows));
  }
}

void MoveTowards(const float* latest, float factor, float momentum, int64_t size, float* running) {
  for (int64_t c = 0; c < size; ++c) running[c] += momentum * (factor * latest[c] - running[c]);
}

void InverseDeviation(const float* variance, float eps, int64_t size, float* rstd) {
  for (int64_t c = 0; c < size; ++c) rstd[c] = 1.0f / std::sqrt(variance[c] + eps);
}

void BatchNormForward(const float* x, const float* residual, const BatchNormColumns& norm, int64_t rows,
                      int64_t columns, bool relu, float* y) {
  auto* kernel = ATTNKIT_DISPATCH(BatchNormRows);
  ParallelFor(rows, RowGrain(columns), [&](int64_t begin, int64_t end) {
    const int64_t first = begin * columns;
    kernel(x + first, residual ? residual + first : nullptr, norm, end - begin, columns, relu, y + first);
  });
}

void BatchNormBackward(const float* dy, const float* x, const float* y, const BatchNormColumns& norm, int64_t rows,
                       int64_t columns, bool batch_statistics, float* dx, float* dresidual, float* dweight,
                       float* dbias) {
  constexpr int64_t kMaxChunks = 64;
  const int64_t grain = ReductionGrain(rows, columns, kMaxChunks), chunks = (rows + grain - 1) / grain;
  Buffer<float> partials(chunks * 2 * columns), means(2 * columns);
  BatchNormGradient gradient{dy, x, y, norm, columns, nullptr, nullptr, dx, dresidual};
  auto* sums = ATTNKIT_DISPATCH(BatchNormSums);
  ParallelFor(rows, grain, [&](int64_t begin, int64_t end) {
    sums(gradient, begin, end, partials.data() + begin / grain * 2 * columns);
  });
  ColumnSums(partials.data(), chunks, columns, 2 * columns, false, dbias);
  ColumnSums(partials.data() + columns, chunks, columns, 2 * columns, false, dweight);
  if (!dx && !dresidual) return;
  if (batch_statistics) {
    const float share = 1.0f / static_cast<float>(rows);
    for (int64_t c = 0; c < columns; ++c) {
      means[c] = dbias[c] * share;
      means[columns + c] = dweight[c] * share;
    }
    gradient.g_mean = means.data();
    gradient.g_xhat_mean = means.data() + columns;
  }
  auto* kernel = ATTNKIT_DISPATCH(BatchNormInputGradient);
  ParallelFor(rows, RowGrain(columns), [&](int64_t begin, int64_t end) { kernel(gradient, begin, end); });
}

}  // namespace attnkit::kernels
#endif
