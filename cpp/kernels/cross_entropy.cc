// Label-smoothed cross-entropy of rows, with the gradient in place.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cross_entropy.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
// After foreach_target.h:
#include <cstring>

#include "attnkit/check.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/threads.h"
#include "kernels/dispatch.h"
#include "kernels/grain.h"
#include "kernels/softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::HWY_NAMESPACE {

struct RowLoss {
  float loss, nll;
};

// dx (may be null, may equal x) gets scale * (p - (1 - smoothing) * onehot(label) - smoothing / columns).
template <bool kSmooth>
RowLoss CrossEntropyRow(ExpRow& row, const float* x, int32_t label, int64_t columns, float smoothing, float scale,
                        float* dx) {
  const float logit = x[label];  // before dx overwrites it
  if (dx) {
    row.Run<true, kSmooth>(x, dx);
  } else {
    row.Run<false, kSmooth>(x, nullptr);
  }
  const float log_sum = std::log(row.sum());
  const float nll = (row.maximum() - logit) + log_sum;
  RowLoss result = {nll, nll};
  if (kSmooth) {
    const float mean_nll = (row.maximum() - row.total() / static_cast<float>(columns)) + log_sum;
    result.loss = (1.0f - smoothing) * nll + smoothing * mean_nll;
  }
  if (dx) {
    row.Finish(dx, scale / row.sum(), kSmooth ? -scale * smoothing / static_cast<float>(columns) : 0.0f, false, dx);
    dx[label] -= scale * (1.0f - smoothing);
  }
  return result;
}

void CrossEntropyRows(const float* x, const int32_t* labels, int64_t begin, int64_t end, int64_t columns,
                      float smoothing, int32_t ignore_index, float scale, float* losses, float* nlls, float* dx) {
  ExpRow row(columns);
  const auto run = smoothing > 0.0f ? CrossEntropyRow<true> : CrossEntropyRow<false>;
  for (int64_t r = begin; r < end; ++r) {
    float* dx_row = dx ? dx + r * columns : nullptr;
    RowLoss result = {0.0f, 0.0f};
    if (labels[r] != ignore_index) {
      result = run(row, x + r * columns, labels[r], columns, smoothing, scale, dx_row);
    } else if (dx) {
      std::memset(dx_row, 0, columns * sizeof(float));
    }
    losses[r] = result.loss;
    if (nlls) nlls[r] = result.nll;
  }
}

}  // namespace attnkit::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {

void CrossEntropy(const float* x, const int32_t* labels, int64_t rows, int64_t columns, float smoothing,
                  int32_t ignore_index, float scale, float* losses, float* nlls, float* dx, bool inside) {
  // Before any gradient overwrites a logit.
  for (int64_t r = inside ? rows : 0; r < rows; ++r) {
    ATTNKIT_CHECK(labels[r] == ignore_index || (labels[r] >= 0 && labels[r] < columns),
                  "[cross_entropy] expected labels in [0, ", columns, ") or ", ignore_index, ", got ", labels[r],
                  " in row ", r);
  }
  auto* kernel = ATTNKIT_DISPATCH(CrossEntropyRows);
  ParallelFor(rows, RowGrain(columns), [=](int64_t begin, int64_t end) {
    kernel(x, labels, begin, end, columns, smoothing, ignore_index, scale, losses, nlls, dx);
  });
}

}  // namespace attnkit::kernels
#endif
