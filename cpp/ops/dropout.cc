#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/op_scope.h"
#include "attnkit/ops/arithmetic.h"
#include "attnkit/ops/rows.h"

namespace attnkit::ops {
namespace {

Tensor Dropped(const Tensor& x, float p, PhiloxKey key) {
  Tensor out = x.New(x.shape());
  x.kernels().Dropout(x.data(), x.size(), p, key, out.data());
  return out;
}

void CheckProbability(float p) { ATTNKIT_CHECK(p >= 0.0f && p < 1.0f, "[dropout] expected p in [0, 1), got ", p); }

}  // namespace

Tensor Dropout(const Tensor& x, float p) {
  const OpScope scope("dropout", {&x});
  CheckProbability(p);
  if (p == 0.0f) return x;
  const PhiloxKey key = NextPhiloxKey();
  Tensor out = Dropped(x, p, key);
  if (NeedsGrad({x})) {
    Record("dropout", {x}, {&out},
           [p, key](std::vector<Tensor>& dy) { return std::vector<Tensor>{Dropped(dy[0], p, key)}; });
  }
  return out;
}

Tensor AddDropout(const Tensor& residual, const Tensor& x, float p) {
  const OpScope scope("add_dropout", {&residual, &x});
  CheckProbability(p);
  ATTNKIT_CHECK(residual.shape() == x.shape(), "[add_dropout] expected x of shape ", ToString(residual.shape()),
                ", got ", ToString(x.shape()));
  if (p == 0.0f) return Add(residual, x);
  const PhiloxKey key = NextPhiloxKey();
  Tensor out = x.New(x.shape());
  residual.kernels().AddDropout(residual.data(), x.data(), x.size(), p, key, out.data());
  if (NeedsGrad({residual, x})) {
    Record("add_dropout", {residual, x}, {&out}, [p, key](std::vector<Tensor>& dy) {
      return std::vector<Tensor>{dy[0], Dropped(dy[0], p, key)};
    });
  }
  return out;
}

}  // namespace attnkit::ops
