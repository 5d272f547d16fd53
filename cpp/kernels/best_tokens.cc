// The output layer of decoding: the best tokens of each row, without ever holding its logits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/best_tokens.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "attnkit/allocator.h"
#include "attnkit/check.h"
#include "attnkit/kernels/decoding.h"
#include "attnkit/profile.h"
#include "attnkit/threads.h"
#include "kernels/dispatch.h"
#include "kernels/gemm/parts.h"
#include "kernels/math-inl.h"
#include "kernels/vector-inl.h"

#ifndef ATTNKIT_KERNELS_BEST_TOKENS_TOP
#define ATTNKIT_KERNELS_BEST_TOKENS_TOP
namespace attnkit::kernels {

// The k best numbers of a row so far, best first; numbers come in rising order of index.
struct Top {
  float* values;
  int32_t* indices;
  int64_t k;

  float threshold() const { return values[k - 1]; }
  void Offer(float value, int32_t index) {
    if (!(value > threshold())) return;
    int64_t place = k - 1;
    for (; place > 0 && value > values[place - 1]; --place) {
      values[place] = values[place - 1];
      indices[place] = indices[place - 1];
    }
    values[place] = value;
    indices[place] = index;
  }
};

// The largest number of a block of a row, and the sum of e^(x - largest).
struct BlockSum {
  float largest, sum;
};

}  // namespace attnkit::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

BlockSum SumBlock(const float* x, int64_t count) {
  const Floats d;
  const FloatVec lowest = hn::Set(d, kLowest);
  FloatSlots largest(kLowest), sum(0.0f);
  ForVectors(count, [&](auto access, int64_t i, int slot) ATTNKIT_BODY {
    largest.v[slot] = hn::Max(largest.v[slot], access.Fill(access.Load(x + i), lowest));
  });
  const float maximum = largest.Largest();
  // A block of -inf is shifted by nothing: -inf - -inf would be NaN.
  const FloatVec shift = hn::Set(d, maximum == kLowest ? 0.0f : maximum);
  ForVectors(count, [&](auto access, int64_t i, int slot) ATTNKIT_BODY {
    const FloatVec e = FastExp(d, hn::Sub(access.Load(x + i), shift));
    sum.v[slot] = hn::Add(sum.v[slot], access.ZeroRest(e));
  });
  return {maximum, sum.Sum()};
}

// A number below k numbers of the block: each lane of a few accumulators has the largest of numbers of its own, and the
// k-th of these is reached k times. -inf where that tells nothing.
float BelowTop(const float* x, int64_t count, int64_t k) {
  const Floats d;
  const int64_t lanes = FloatLanes();
  HWY_ALIGN float maxima[4 * hn::MaxLanes(d)];
  if (count < 4 * lanes || k > 2 * lanes) return kLowest;
  FloatSlots largest(kLowest);
  ForVectors(count, [&](auto access, int64_t i, int slot) ATTNKIT_BODY {
    largest.v[slot] = hn::Max(largest.v[slot], access.Fill(access.Load(x + i), hn::Set(d, kLowest)));
  });
  for (int s = 0; s < 4; ++s) hn::Store(largest.v[s], d, maxima + s * lanes);
  if (k == 1) return std::nextafter(*std::max_element(maxima, maxima + 4 * lanes), kLowest);
  std::nth_element(maxima, maxima + k - 1, maxima + 4 * lanes, std::greater<float>());
  return std::nextafter(maxima[k - 1], kLowest);
}

// The numbers of a block above the threshold, few in all: whole groups of vectors are passed over.
void OfferBlock(const float* x, int64_t count, int32_t first, Top& top) {
  const Floats d;
  const int64_t lanes = FloatLanes(), group = 4 * lanes;
  const float below = top.threshold() == kLowest ? BelowTop(x, count, top.k) : kLowest;
  const auto threshold = [&]() ATTNKIT_BODY { return hn::Set(d, std::max(below, top.threshold())); };
  int64_t i = 0;
  for (; i + group <= count; i += group) {
    const FloatVec a = hn::Max(hn::LoadU(d, x + i), hn::LoadU(d, x + i + lanes));
    const FloatVec b = hn::Max(hn::LoadU(d, x + i + 2 * lanes), hn::LoadU(d, x + i + 3 * lanes));
    if (hn::AllFalse(d, hn::Gt(hn::Max(a, b), threshold()))) continue;
    for (int64_t j = i; j < i + group; j += lanes) {
      if (hn::AllFalse(d, hn::Gt(hn::LoadU(d, x + j), threshold()))) continue;
      for (int64_t c = j; c < j + lanes; ++c) top.Offer(x[c], first + static_cast<int32_t>(c));
    }
  }
  for (; i < count; ++i) top.Offer(x[i], first + static_cast<int32_t>(i));
}

// log of the sum of e^x over all blocks, in two parts: the largest number, and what is to be added.
BlockSum LogSum(const BlockSum* blocks, int64_t count) {
  const Floats d;
  float largest = kLowest, sum = 0.0f;
  for (int64_t b = 0; b < count; ++b) largest = std::max(largest, blocks[b].largest);
  const float shift = largest == kLowest ? 0.0f : largest;
  for (int64_t b = 0; b < count; ++b) {
    sum += blocks[b].sum * hn::GetLane(FastExp(d, hn::Set(d, blocks[b].largest - shift)));
  }
  return {largest, std::log(sum)};
}

void Restrict(const uint8_t* allowed, int64_t count, float* x) {
  for (int64_t i = 0; i < count; ++i) x[i] = allowed[i] ? x[i] : kLowest;
}

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {
namespace {

constexpr int64_t kChunkRows = 32;  // rows of logits that stay in the L2 cache

// Tasks worth waking a thread for: larger ones than those of products that follow each other (gemm/int8.cc). The step
// of a small model comes to this one every 50 us with threads that sleep, and takes longer to wake one than to read a
// megabyte or two. Numbers of fewer bytes are multiplied faster, too.
int64_t WorthwhileTasks(int64_t rows, const PackedMatrix& weight) {
  constexpr double kTaskBytes = 2e6, kTaskRowBytes = 12e6;  // 50 us at 40 GB/s, and at 240 bytes a nanosecond
  const double bytes = weight.data.size();
  const double tasks = std::max(bytes / kTaskBytes, rows * bytes / kTaskRowBytes);
  return static_cast<int64_t>(std::clamp<double>(tasks, 1, ThreadCount()));
}

class OutputLayer {
 public:
  OutputLayer(const float* hidden, int64_t rows, const PackedMatrix& weight, const float* bias, int64_t k,
              const AskedTokens& asked, const AllowedTokens& allowed, float* asked_values)
      : parts_(hidden, rows, weight, bias),
        rows_(rows),
        columns_(weight.n),
        k_(k),
        asked_(asked),
        allowed_(allowed),
        asked_values_(asked_values),
        blocks_((weight.n + parts_.block_columns() - 1) / parts_.block_columns()),
        tasks_(std::min(blocks_, WorthwhileTasks(rows, weight))),
        sums_(rows * blocks_),
        values_(tasks_ * rows * k),
        indices_(tasks_ * rows * k) {
    std::fill(values_.begin(), values_.end(), -std::numeric_limits<float>::infinity());
    std::fill(indices_.begin(), indices_.end(), 0);
  }

  void Run() {
    ParallelFor(tasks_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) RunTask(task);
    });
  }

  // The best of all tasks. A task has rising columns, so merging in order leaves ties to the lower index.
  void Write(float* values, int32_t* indices) {
    for (int64_t r = 0; r < rows_; ++r) {
      Top all = TopOf(0, r);
      for (int64_t task = 1; task < tasks_; ++task) {
        const Top more = TopOf(task, r);
        for (int64_t i = 0; i < k_; ++i) all.Offer(more.values[i], more.indices[i]);
      }
      const BlockSum log_sum = log_sum_(sums_.data() + r * blocks_, blocks_);
      const auto normalised = [&](float logit) { return logit - log_sum.largest - log_sum.sum; };
      for (int64_t i = 0; i < k_; ++i) {
        values[r * k_ + i] = normalised(all.values[i]);
        indices[r * k_ + i] = all.indices[i];
      }
      for (int32_t i = asked_.offsets[r]; i < asked_.offsets[r + 1]; ++i) {
        asked_values_[i] = normalised(asked_values_[i]);
      }
    }
  }

 private:
  Top TopOf(int64_t task, int64_t row) {
    const int64_t at = (task * rows_ + row) * k_;
    return {values_.data() + at, indices_.data() + at, k_};
  }

  void RunTask(int64_t task) {
    const int64_t width = parts_.block_columns();
    Buffer<float> logits(std::min(rows_, kChunkRows) * width);
    for (int64_t block = task * blocks_ / tasks_; block < (task + 1) * blocks_ / tasks_; ++block) {
      const int64_t column = block * width, columns = std::min(width, columns_ - column);
      for (int64_t row = 0; row < rows_; row += kChunkRows) {
        const int64_t rows = std::min(kChunkRows, rows_ - row);
        parts_.Multiply({row, rows, column, columns}, logits.data(), width);
        for (int64_t r = row; r < row + rows; ++r) {
          Take(logits.data() + (r - row) * width, r, block, column, columns, TopOf(task, r));
        }
      }
    }
  }

  // One row of a block.
  void Take(float* logits, int64_t row, int64_t block, int64_t column, int64_t columns, Top top) {
    const int32_t *begin = asked_.ids + asked_.offsets[row], *end = asked_.ids + asked_.offsets[row + 1];
    const int32_t *first = std::lower_bound(begin, end, column), *last = std::lower_bound(first, end, column + columns);
    if (allowed_.allowed) restrict_(allowed_.allowed + allowed_.groups[row] * columns_ + column, columns, logits);
    for (const int32_t* id = first; id < last; ++id) asked_values_[id - asked_.ids] = logits[*id - column];
    const BlockSum sum = sum_block_(logits, columns);
    sums_[row * blocks_ + block] = sum;
    if (!(sum.largest > top.threshold())) return;
    for (const int32_t* id = first; id < last; ++id) {
      if (asked_.excluded[id - asked_.ids]) logits[*id - column] = -std::numeric_limits<float>::infinity();
    }
    offer_block_(logits, columns, static_cast<int32_t>(column), top);
  }

  gemm::ProductParts parts_;
  int64_t rows_, columns_, k_;
  AskedTokens asked_;
  AllowedTokens allowed_;
  float* asked_values_;
  int64_t blocks_, tasks_;
  Buffer<BlockSum> sums_;
  Buffer<float> values_;
  Buffer<int32_t> indices_;
  decltype(ATTNKIT_DISPATCH(SumBlock)) sum_block_ = ATTNKIT_DISPATCH(SumBlock);
  decltype(ATTNKIT_DISPATCH(OfferBlock)) offer_block_ = ATTNKIT_DISPATCH(OfferBlock);
  decltype(ATTNKIT_DISPATCH(LogSum)) log_sum_ = ATTNKIT_DISPATCH(LogSum);
  decltype(ATTNKIT_DISPATCH(Restrict)) restrict_ = ATTNKIT_DISPATCH(Restrict);
};

}  // namespace

void BestTokens(const float* hidden, int64_t rows, const PackedMatrix& weight, const float* bias, int64_t k,
                const AskedTokens& asked, const AllowedTokens& allowed, float* values, int32_t* indices,
                float* asked_values) {
  ATTNKIT_CHECK(k >= 1 && k <= weight.n, "[best_tokens] expected k in [1, ", weight.n, "], got ", k);
  if (rows == 0) return;
  CountArithmetic(2.0 * rows * weight.n * weight.k, static_cast<int>(weight.precision));
  OutputLayer layer(hidden, rows, weight, bias, k, asked, allowed, asked_values);
  layer.Run();
  layer.Write(values, indices);
}

}  // namespace attnkit::kernels
#endif  // HWY_ONCE
