#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/op_scope.h"
#include "attnkit/ops/rows.h"

namespace attnkit::ops {

Tensor Softmax(const Tensor& x) {
  const OpScope scope("softmax", {&x});
  ATTNKIT_CHECK(x.rank() >= 1, "[softmax] expected at least one axis, got []");
  Tensor y = x.New(x.shape());
  x.kernels().SoftmaxForward(x.data(), x.rows(), x.columns(), y.data());
  if (NeedsGrad({x})) {
    Record("softmax", {x}, {&y}, [y = Kept(y)](std::vector<Tensor>& dy) {
      Tensor dx = y.New(y.shape());
      y.kernels().SoftmaxBackward(y.data(), dy[0].data(), y.rows(), y.columns(), dx.data());
      return std::vector<Tensor>{dx};
    });
  }
  return y;
}

Tensor LogSoftmax(const Tensor& x) {
  const OpScope scope("log_softmax", {&x});
  ATTNKIT_CHECK(x.rank() >= 1, "[log_softmax] expected at least one axis, got []");
  Tensor y = x.New(x.shape());
  x.kernels().LogSoftmaxForward(x.data(), x.rows(), x.columns(), y.data());
  if (NeedsGrad({x})) {
    Record("log_softmax", {x}, {&y}, [y = Kept(y)](std::vector<Tensor>& dy) {
      Tensor dx = y.New(y.shape());
      y.kernels().LogSoftmaxBackward(y.data(), dy[0].data(), y.rows(), y.columns(), dx.data());
      return std::vector<Tensor>{dx};
    });
  }
  return y;
}

}  // namespace attnkit::ops
