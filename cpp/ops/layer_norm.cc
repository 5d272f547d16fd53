#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/op_scope.h"
#include "attnkit/ops/rows.h"
#include "ops/optional.h"

namespace attnkit::ops {
namespace {

using kernels::Norm;

struct Saved {
  Norm norm;
  Tensor sum, weight, mean, rstd;
  float dropout;
  PhiloxKey key;
  bool need_x, need_residual, need_weight, need_bias;
};

std::vector<Tensor> NormBackward(const Saved& s, std::vector<Tensor>& gradients) {
  const Tensor dsum = gradients[0], dnormed = gradients[1] ? gradients[1] : s.sum.NewZeros(s.sum.shape());
  const int64_t rows = s.sum.rows(), columns = s.sum.columns();
  // Without dropout x and the residual have the same gradient.
  const bool shared = s.dropout == 0.0f && s.need_x && s.need_residual;
  Tensor dx = s.need_x ? s.sum.New(s.sum.shape()) : Tensor();
  Tensor dresidual = s.need_residual && !shared ? s.sum.New(s.sum.shape()) : Tensor();
  Tensor dweight = s.need_weight ? s.sum.New({columns}) : Tensor(),
         dbias = s.need_bias ? s.sum.New({columns}) : Tensor();
  dnormed.kernels().AddDropoutLayerNormBackward(
      dnormed.data(), DataOrNull(dsum), s.sum.data(), DataOrNull(s.weight), DataOrNull(s.mean), s.rstd.data(), rows,
      columns, s.dropout, s.key, DataOrNull(dx), DataOrNull(dresidual), DataOrNull(dweight), DataOrNull(dbias), s.norm);
  return {dx, shared ? dx : dresidual, dweight, dbias};
}

void CheckColumns(const char* op, const char* what, const Tensor& x, int64_t columns) {
  ATTNKIT_CHECK(!x || x.shape() == Shape{columns}, "[", op, "] expected ", what, " of shape [", columns, "], got ",
                ToString(x.shape()));
}

AddNorm AddDropoutNorm(Norm norm, const char* op, const Tensor& x, const Tensor& residual, const Tensor& weight,
                       const Tensor& bias, float dropout, float eps) {
  const OpScope scope(op, {&x, &residual, &weight, &bias});
  ATTNKIT_CHECK(x.rank() >= 1, "[", op, "] expected at least one axis, got []");
  ATTNKIT_CHECK(dropout >= 0.0f && dropout < 1.0f, "[", op, "] expected dropout in [0, 1), got ", dropout);
  ATTNKIT_CHECK(!residual || residual.shape() == x.shape(), "[", op, "] expected residual of shape ",
                ToString(x.shape()), ", got ", ToString(residual.shape()));
  const int64_t rows = x.rows(), columns = x.columns();
  CheckColumns(op, "weight", weight, columns);
  CheckColumns(op, "bias", bias, columns);

  const bool changed = residual || dropout > 0.0f;
  const PhiloxKey key = dropout > 0.0f ? NextPhiloxKey() : PhiloxKey{};
  AddNorm result{changed ? x.New(x.shape()) : x.Detach(), x.New(x.shape())};
  Tensor mean = norm == Norm::kLayer ? x.New({rows}) : Tensor(), rstd = x.New({rows});
  x.kernels().AddDropoutLayerNormForward(x.data(), DataOrNull(residual), DataOrNull(weight), DataOrNull(bias), rows,
                                         columns, eps, dropout, key, changed ? result.sum.data() : nullptr,
                                         result.normed.data(), DataOrNull(mean), rstd.data(), norm);
  if (NeedsGrad({x, residual, weight, bias})) {
    const Saved saved{norm,
                      Kept(result.sum),
                      weight ? weight.Detach() : weight,
                      mean,
                      rstd,
                      dropout,
                      key,
                      x.requires_grad(),
                      residual.requires_grad(),
                      weight.requires_grad(),
                      bias.requires_grad()};
    Record(op, {x, residual, weight, bias}, {&result.sum, &result.normed},
           [saved](std::vector<Tensor>& gradients) { return NormBackward(saved, gradients); });
  }
  return result;
}

}  // namespace

AddNorm AddDropoutLayerNorm(const Tensor& x, const Tensor& residual, const Tensor& weight, const Tensor& bias,
                            float dropout, float eps) {
  return AddDropoutNorm(Norm::kLayer, "layer_norm", x, residual, weight, bias, dropout, eps);
}

AddNorm AddDropoutRmsNorm(const Tensor& x, const Tensor& residual, const Tensor& weight, float dropout, float eps) {
  return AddDropoutNorm(Norm::kRms, "rms_norm", x, residual, weight, Tensor(), dropout, eps);
}

}  // namespace attnkit::ops
