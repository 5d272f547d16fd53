// Tensors on another device, and of another type.
#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/op_scope.h"
#include "attnkit/ops/shape.h"

namespace attnkit::ops {

Tensor To(const Tensor& x, const Context& context) {
  if (&x.context() == &context) return x;
  Tensor out = x.To(context);
  if (NeedsGrad({x})) {
    Record("to", {x}, {&out},
           [&from = x.context()](std::vector<Tensor>& dy) { return std::vector<Tensor>{dy[0].To(from)}; });
  }
  return out;
}

Tensor To(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  ATTNKIT_CHECK(!NeedsGrad({x}), "[to] expected a tensor without a gradient to make one of ", NameOf(dtype),
                "; detach() it");
  return x.To(dtype);
}

}  // namespace attnkit::ops
