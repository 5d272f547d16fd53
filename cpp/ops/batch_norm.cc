#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/op_scope.h"
#include "attnkit/ops/vision.h"

namespace attnkit::ops {
namespace {

struct Saved {
  Tensor x, y, weight, bias, mean, rstd;
  bool training, need_x, need_residual;

  kernels::BatchNormColumns columns() const { return {mean.data(), rstd.data(), weight.data(), bias.data()}; }
};

std::vector<Tensor> BatchNormBackward(const Saved& s, std::vector<Tensor>& dy) {
  const int64_t rows = s.x.rows(), columns = s.x.columns();
  Tensor dx = s.need_x ? s.x.New(s.x.shape()) : Tensor(), dweight = s.x.New({columns}), dbias = s.x.New({columns});
  // Without ReLU the residual's gradient is dy itself.
  Tensor dresidual = s.need_residual && s.y ? s.x.New(s.x.shape()) : Tensor();
  dy[0].kernels().BatchNormBackward(dy[0].data(), s.x.data(), s.y ? s.y.data() : nullptr, s.columns(), rows, columns,
                                    s.training, dx ? dx.data() : nullptr, dresidual ? dresidual.data() : nullptr,
                                    dweight.data(), dbias.data());
  return {dx, s.need_residual && !s.y ? dy[0] : dresidual, dweight, dbias};
}

// The running statistics move towards those of the batch; the running variance is the unbiased one.
void MoveTowards(const Tensor& batch, float factor, float momentum, Tensor& running) {
  batch.kernels().MoveTowards(batch.data(), factor, momentum, batch.size(), running.data());
  running.storage().Touch();
}

}  // namespace

Tensor BatchNorm(const Tensor& x, const Tensor& residual, const Tensor& weight, const Tensor& bias,
                 Tensor& running_mean, Tensor& running_variance, const BatchNormOptions& options) {
  const OpScope scope("batch_norm", {&x, &residual, &weight, &bias, &running_mean, &running_variance});
  ATTNKIT_CHECK(x.rank() >= 2, "[batch_norm] expected x of shape [..., C], got ", ToString(x.shape()));
  const int64_t rows = x.rows(), columns = x.columns();
  for (const Tensor* parameter :
       {&weight, &bias, static_cast<const Tensor*>(&running_mean), static_cast<const Tensor*>(&running_variance)}) {
    ATTNKIT_CHECK(parameter->shape() == Shape{columns},
                  "[batch_norm] expected weight, bias and running statistics of shape [", columns, "], got ",
                  ToString(parameter->shape()));
  }
  ATTNKIT_CHECK(!residual || residual.shape() == x.shape(), "[batch_norm] expected residual of shape ",
                ToString(x.shape()), ", got ", ToString(residual.shape()));
  ATTNKIT_CHECK(!options.training || rows > 1, "[batch_norm] expected more than one row to train on, got ", rows);

  if (options.training) {
    running_mean.storage().RequireWritable("batch_norm");
    running_variance.storage().RequireWritable("batch_norm");
  }
  Tensor mean = options.training ? x.New({columns}) : running_mean.Clone(), variance = running_variance.Detach();
  if (options.training) {
    variance = x.New({columns});
    x.kernels().ColumnMoments(x.data(), rows, columns, mean.data(), variance.data());
    MoveTowards(mean, 1.0f, options.momentum, running_mean);
    MoveTowards(variance, static_cast<float>(rows) / static_cast<float>(rows - 1), options.momentum, running_variance);
  }
  const Tensor rstd = x.New({columns});
  variance.kernels().InverseDeviation(variance.data(), options.eps, columns, rstd.data());
  Tensor y = x.New(x.shape());
  const Saved saved{Kept(x),
                    options.relu ? Kept(y) : Tensor(),
                    weight.Detach(),
                    bias.Detach(),
                    mean,
                    rstd,
                    options.training,
                    x.requires_grad(),
                    residual.requires_grad()};
  x.kernels().BatchNormForward(x.data(), residual ? residual.data() : nullptr, saved.columns(), rows, columns,
                               options.relu, y.data());
  if (NeedsGrad({x, residual, weight, bias})) {
    Record("batch_norm", {x, residual, weight, bias}, {&y},
           [saved](std::vector<Tensor>& dy) { return BatchNormBackward(saved, dy); });
  }
  return y;
}

}  // namespace attnkit::ops
