// Arithmetic with NumPy's broadcasting: the smaller operand is expanded first, so that the kernels see equal shapes.
#include "attnkit/ops/arithmetic.h"
#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/op_scope.h"
#include "attnkit/ops/shape.h"

namespace attnkit::ops {
namespace {

Shape BroadcastShape(const char* op, const Shape& x, const Shape& y) {
  Shape shape(std::max(x.size(), y.size()), 1);
  for (size_t i = 1; i <= shape.size(); ++i) {
    const int64_t a = i <= x.size() ? x[x.size() - i] : 1, b = i <= y.size() ? y[y.size() - i] : 1;
    ATTNKIT_CHECK(a == b || a == 1 || b == 1, "[", op, "] expected shapes that broadcast, got ", ToString(x), " and ",
                  ToString(y));
    shape[shape.size() - i] = a == 1 ? b : a;
  }
  return shape;
}

std::pair<Tensor, Tensor> Broadcast(const char* op, const Tensor& x, const Tensor& y) {
  if (x.shape() == y.shape()) return {x, y};
  const Shape shape = BroadcastShape(op, x.shape(), y.shape());
  return {BroadcastTo(x, shape), BroadcastTo(y, shape)};
}

Tensor Negated(const Tensor& x) {
  Tensor out = x.New(x.shape());
  x.kernels().Scale(x.data(), -1.0f, 0.0f, x.size(), out.data());
  return out;
}

Tensor Product(const Tensor& x, const Tensor& y) {
  Tensor out = x.New(x.shape());
  x.kernels().Multiply(x.data(), y.data(), x.size(), out.data());
  return out;
}

Tensor Quotient(const Tensor& x, const Tensor& y) {
  Tensor out = x.New(x.shape());
  x.kernels().Divide(x.data(), y.data(), x.size(), out.data());
  return out;
}

}  // namespace

Tensor Add(const Tensor& left, const Tensor& right) {
  const OpScope scope("add", {&left, &right});
  const auto [x, y] = Broadcast("add", left, right);
  Tensor out = x.New(x.shape());
  x.kernels().Add(x.data(), y.data(), x.size(), out.data());
  if (NeedsGrad({x, y})) {
    Record("add", {x, y}, {&out}, [](std::vector<Tensor>& dy) { return std::vector<Tensor>{dy[0], dy[0]}; });
  }
  return out;
}

Tensor Subtract(const Tensor& left, const Tensor& right) {
  const OpScope scope("subtract", {&left, &right});
  const auto [x, y] = Broadcast("subtract", left, right);
  Tensor out = x.New(x.shape());
  x.kernels().Subtract(x.data(), y.data(), x.size(), out.data());
  if (NeedsGrad({x, y})) {
    Record("subtract", {x, y}, {&out}, [](std::vector<Tensor>& dy) {
      return std::vector<Tensor>{dy[0], Negated(dy[0])};
    });
  }
  return out;
}

Tensor Multiply(const Tensor& left, const Tensor& right) {
  const OpScope scope("multiply", {&left, &right});
  const auto [x, y] = Broadcast("multiply", left, right);
  Tensor out = Product(x, y);
  if (NeedsGrad({x, y})) {
    Record("multiply", {x, y}, {&out}, [x = Kept(x), y = Kept(y)](std::vector<Tensor>& dy) {
      return std::vector<Tensor>{Product(dy[0], y), Product(dy[0], x)};
    });
  }
  return out;
}

Tensor Divide(const Tensor& left, const Tensor& right) {
  const OpScope scope("divide", {&left, &right});
  const auto [x, y] = Broadcast("divide", left, right);
  Tensor out = Quotient(x, y);
  if (NeedsGrad({x, y})) {
    Record("divide", {x, y}, {&out}, [out = Kept(out), y = Kept(y)](std::vector<Tensor>& dy) {
      const Tensor dx = Quotient(dy[0], y);
      return std::vector<Tensor>{dx, Negated(Product(dx, out))};
    });
  }
  return out;
}

Tensor ScaleShift(const Tensor& x, float scale, float shift) {
  const OpScope scope("scale_shift", {&x});
  Tensor out = x.New(x.shape());
  x.kernels().Scale(x.data(), scale, shift, x.size(), out.data());
  if (NeedsGrad({x})) {
    Record("scale_shift", {x}, {&out}, [scale](std::vector<Tensor>& dy) {
      Tensor dx = dy[0].New(dy[0].shape());
      dy[0].kernels().Scale(dy[0].data(), scale, 0.0f, dx.size(), dx.data());
      return std::vector<Tensor>{dx};
    });
  }
  return out;
}

Tensor Apply(kernels::Unary op, const Tensor& x) {
  const OpScope scope("unary", {&x});
  Tensor out = x.New(x.shape());
  x.kernels().UnaryForward(op, x.data(), x.size(), out.data());
  if (NeedsGrad({x})) {
    Record("unary", {x}, {&out}, [op, x = Kept(x), y = Kept(out)](std::vector<Tensor>& dy) {
      Tensor dx = x.New(x.shape());
      x.kernels().UnaryBackward(op, x.data(), y.data(), dy[0].data(), x.size(), dx.data());
      return std::vector<Tensor>{dx};
    });
  }
  return out;
}

}  // namespace attnkit::ops
