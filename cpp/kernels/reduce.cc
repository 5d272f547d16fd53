// Reductions: sums of columns, sums over everything, the check for finite numbers. Partial sums belong to pieces of
// fixed size and are added in order.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/reduce.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include <atomic>
#include <cstring>

#include "attnkit/allocator.h"
#include "attnkit/kernels/reduce.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/threads.h"
#include "kernels/dispatch.h"
#include "kernels/grain.h"
#include "kernels/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

// out[c] (+)= sum over rows of x[r, c]. Four rows at a time, so that out is loaded and stored once for four.
void AddRows(const float* x, int64_t rows, int64_t columns, int64_t row_stride, bool accumulate, float* out) {
  if (!accumulate) std::memset(out, 0, columns * sizeof(float));
  int64_t r = 0;
  for (; r + 4 <= rows; r += 4, x += 4 * row_stride) {
    const float *x0 = x, *x1 = x + row_stride, *x2 = x + 2 * row_stride, *x3 = x + 3 * row_stride;
    ForVectors(columns, [=](auto access, int64_t i, int) ATTNKIT_BODY {
      const FloatVec sum =
          hn::Add(hn::Add(access.Load(x0 + i), access.Load(x1 + i)), hn::Add(access.Load(x2 + i), access.Load(x3 + i)));
      access.Store(hn::Add(access.Load(out + i), sum), out + i);
    });
  }
  for (; r < rows; ++r, x += row_stride) {
    ForVectors(columns, [=](auto access, int64_t i, int)
                            ATTNKIT_BODY { access.Store(hn::Add(access.Load(out + i), access.Load(x + i)), out + i); });
  }
}

// The sum of x, or of its squares, in double lanes.
template <bool kSquares>
HWY_INLINE double SumDoubles(const float* x, int64_t size) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, hn::ScalableTag<double>> half;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  hn::Vec<hn::ScalableTag<double>> total[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  int64_t i = 0;
  for (; i + 4 * lanes <= size; i += 4 * lanes) {
#pragma GCC unroll 4
    for (int64_t u = 0; u < 4; ++u) {
      const auto v = hn::PromoteTo(d, hn::LoadU(half, x + i + u * lanes));
      total[u] = kSquares ? hn::MulAdd(v, v, total[u]) : hn::Add(total[u], v);
    }
  }
  double rest = 0.0;
  for (; i < size; ++i) rest += kSquares ? double{x[i]} * x[i] : x[i];
  const auto all = hn::Add(hn::Add(total[0], total[1]), hn::Add(total[2], total[3]));
  return hn::GetLane(hn::SumOfLanes(d, all)) + rest;
}

double SumRange(const float* x, int64_t size) { return SumDoubles<false>(x, size); }
double SumOfSquaresRange(const float* x, int64_t size) { return SumDoubles<true>(x, size); }

// 0 * x is 0 for finite x and NaN for the others, and NaN stays in a sum.
bool AllFiniteRange(const float* x, int64_t size) {
  const Floats d;
  FloatSlots zero(0.0f);
  ForVectors(size, [&](auto access, int64_t i, int slot)
                       ATTNKIT_BODY { zero.v[slot] = hn::MulAdd(access.Load(x + i), hn::Zero(d), zero.v[slot]); });
  return zero.Sum() == 0.0f;
}

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {
namespace {

constexpr int64_t kSumGrain = 4 * kGrainElements;

double SumOfPieces(double (*kernel)(const float*, int64_t), const float* x, int64_t size) {
  const int64_t pieces = (size + kSumGrain - 1) / kSumGrain;
  if (pieces <= 1) return 0.0 + kernel(x, size);
  Buffer<double> partial(pieces);
  ParallelFor(size, kSumGrain,
              [&](int64_t begin, int64_t end) { partial[begin / kSumGrain] = kernel(x + begin, end - begin); });
  double sum = 0.0;
  for (double part : partial) sum += part;
  return sum;
}

}  // namespace

void ColumnSums(const float* x, int64_t rows, int64_t columns, int64_t row_stride, bool accumulate, float* out) {
  constexpr int64_t kMaxChunks = 64;
  auto* kernel = ATTNKIT_DISPATCH(AddRows);
  const int64_t grain = ReductionGrain(rows, columns, kMaxChunks), chunks = (rows + grain - 1) / grain;
  if (chunks <= 1) return kernel(x, rows, columns, row_stride, accumulate, out);
  Buffer<float> partials(chunks * columns);
  ParallelFor(rows, grain, [&](int64_t begin, int64_t end) {
    kernel(x + begin * row_stride, end - begin, columns, row_stride, false, partials.data() + begin / grain * columns);
  });
  kernel(partials.data(), chunks, columns, columns, accumulate, out);
}

double Sum(const float* x, int64_t size) { return SumOfPieces(ATTNKIT_DISPATCH(SumRange), x, size); }

double SumOfSquares(const float* x, int64_t size) { return SumOfPieces(ATTNKIT_DISPATCH(SumOfSquaresRange), x, size); }

bool AllFinite(const float* x, int64_t size) {
  auto* kernel = ATTNKIT_DISPATCH(AllFiniteRange);
  std::atomic<bool> finite{true};
  ParallelFor(size, kSumGrain, [&](int64_t begin, int64_t end) {
    if (finite.load(std::memory_order_relaxed) && !kernel(x + begin, end - begin)) finite.store(false);
  });
  return finite;
}

int64_t CountNan(const float* x, int64_t size) {
  std::atomic<int64_t> count{0};
  ParallelFor(size, kSumGrain, [&](int64_t begin, int64_t end) {
    int64_t found = 0;
    for (int64_t i = begin; i < end; ++i) found += x[i] != x[i];
    count.fetch_add(found, std::memory_order_relaxed);
  });
  return count;
}

void SumTo(const float* x, int64_t size, float scale, float* out) {
  *out = static_cast<float>(Sum(x, size) * static_cast<double>(scale));
}

void SumAxis(const float* x, int64_t outer, int64_t length, int64_t inner, float* out) {
  const auto sum = [=](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      const float* block = x + o * length * inner;
      if (inner == 1) {
        out[o] = static_cast<float>(Sum(block, length));
      } else {
        ColumnSums(block, length, inner, inner, false, out + o * inner);
      }
    }
  };
  if (length * inner > 4 * kSumGrain) return sum(0, outer);  // each has work for all threads
  ParallelFor(outer, RowGrain(length * inner), sum);
}

}  // namespace attnkit::kernels
#endif
