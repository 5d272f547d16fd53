#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/kernels/elementwise.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/op_scope.h"
#include "attnkit/ops/loss.h"

namespace attnkit::ops {

void CrossEntropyOptions::Check(const char* op) const {
  ATTNKIT_CHECK(label_smoothing >= 0.0f && label_smoothing <= 1.0f, "[", op,
                "] expected label_smoothing in [0, 1], got ", label_smoothing);
}

Tensor CrossEntropy(const Tensor& logits, const Indices& labels, const CrossEntropyOptions& options) {
  const OpScope scope("cross_entropy", {&logits});
  ATTNKIT_CHECK(logits.rank() == 2 && labels.size() == logits.dim(0), "[cross_entropy] expected logits of shape [",
                labels.size(), ", V], got ", ToString(logits.shape()));
  options.Check("cross_entropy");
  const int64_t rows = logits.dim(0), columns = logits.dim(1);
  const bool record = NeedsGrad({logits});
  Tensor losses = logits.New({rows}), gradient = record ? logits.New(logits.shape()) : Tensor();
  logits.kernels().CrossEntropy(logits.data(), labels.On(logits.context()), rows, columns, options.label_smoothing,
                                options.ignore_index, 1.0f, losses.data(), nullptr, record ? gradient.data() : nullptr,
                                labels.Within(columns, options.ignore_index));
  if (record) {
    Record("cross_entropy", {logits}, {&losses}, [gradient, rows, columns](std::vector<Tensor>& dy) {
      Tensor dx = gradient.New(gradient.shape());
      gradient.kernels().ScaleRows(gradient.data(), dy[0].data(), rows, columns, dx.data());
      return std::vector<Tensor>{dx};
    });
  }
  return losses;
}

}  // namespace attnkit::ops
