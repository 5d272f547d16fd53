#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/op_scope.h"
#include "attnkit/ops/product.h"
#include "attnkit/ops/shape.h"
#include "attnkit/precision.h"

namespace attnkit::ops {
namespace {

// Read as they lie or transposed.
kernels::MatrixBatch MatricesOf(const Tensor& x, bool transpose) {
  const int64_t rows = x.dim(-2), columns = x.dim(-1);
  return {x.data(), rows * columns, transpose ? 1 : columns, transpose ? columns : 1};
}

// out[b] = a[b] · b[b], each transposed on request; leading axes are equal.
Tensor BatchedProduct(const Tensor& a, bool transpose_a, const Tensor& b, bool transpose_b,
                      kernels::Precision precision) {
  const int64_t m = a.dim(transpose_a ? -1 : -2), k = a.dim(transpose_a ? -2 : -1), n = b.dim(transpose_b ? -2 : -1);
  Shape shape = a.shape();
  shape[shape.size() - 2] = m;
  shape[shape.size() - 1] = n;
  Tensor out = a.New(shape);
  a.kernels().MatMuls(SizeOf({shape.begin(), shape.end() - 2}), MatricesOf(a, transpose_a), MatricesOf(b, transpose_b),
                      m, n, k, precision, out.data());
  return out;
}

Shape WithMatrix(const Shape& leading, int64_t rows, int64_t columns) {
  Shape shape = leading;
  shape.push_back(rows);
  shape.push_back(columns);
  return shape;
}

Shape BroadcastLeading(const Tensor& a, const Tensor& b) {
  const Shape& longer = a.rank() >= b.rank() ? a.shape() : b.shape();
  Shape leading(longer.begin(), longer.end() - 2);
  for (const Tensor* x : {&a, &b}) {
    const int64_t shift = static_cast<int64_t>(leading.size()) - (x->rank() - 2);
    for (int64_t i = 0; i < x->rank() - 2; ++i) {
      int64_t& length = leading[shift + i];
      ATTNKIT_CHECK(x->dim(i) == 1 || length == 1 || x->dim(i) == length,
                    "[matmul] expected leading axes that broadcast, got ", ToString(a.shape()), " and ",
                    ToString(b.shape()));
      if (x->dim(i) != 1) length = x->dim(i);
    }
  }
  return leading;
}

}  // namespace

Tensor MatMul(const Tensor& left, const Tensor& right) {
  const OpScope scope("matmul", {&left, &right});
  ATTNKIT_CHECK(left.rank() >= 2 && right.rank() >= 2 && left.dim(-1) == right.dim(-2),
                "[matmul] expected shapes [..., M, K] and [..., K, N], got ", ToString(left.shape()), " and ",
                ToString(right.shape()));
  const Shape leading = BroadcastLeading(left, right);
  const Tensor a = BroadcastTo(left, WithMatrix(leading, left.dim(-2), left.dim(-1)));
  const Tensor b = BroadcastTo(right, WithMatrix(leading, right.dim(-2), right.dim(-1)));
  const kernels::Precision precision = ActivationPrecision();
  Tensor out = BatchedProduct(a, false, b, false, precision);
  if (NeedsGrad({a, b})) {
    const bool need_a = a.requires_grad(), need_b = b.requires_grad();
    Record("matmul", {a, b}, {&out}, [a = Kept(a), b = Kept(b), need_a, need_b, precision](std::vector<Tensor>& dy) {
      return std::vector<Tensor>{need_a ? BatchedProduct(dy[0], false, b, true, precision) : Tensor(),
                                 need_b ? BatchedProduct(a, true, dy[0], false, precision) : Tensor()};
    });
  }
  return out;
}

}  // namespace attnkit::ops
