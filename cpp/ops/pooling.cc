#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/op_scope.h"
#include "attnkit/ops/vision.h"
#include "ops/window.h"

namespace attnkit::ops {
namespace {

using kernels::PoolShape;
using kernels::WindowAxis;

PoolShape CheckShape(const char* op, const Tensor& x, const PoolOptions& o) {
  ATTNKIT_CHECK(x.rank() == 4, "[", op, "] expected x of shape [B, H, W, C], got ", ToString(x.shape()));
  const PoolShape shape{x.dim(0),
                        {x.dim(1), o.kernel[0], o.stride[0], o.padding[0]},
                        {x.dim(2), o.kernel[1], o.stride[1], o.padding[1]},
                        x.dim(3)};
  for (const WindowAxis& axis : {shape.rows, shape.columns}) {
    CheckWindow(op, axis);
    // So that no window is empty.
    ATTNKIT_CHECK(axis.size >= 1, "[", op, "] expected images of at least one pixel, got ", ToString(x.shape()));
    ATTNKIT_CHECK(2 * axis.padding <= axis.kernel, "[", op, "] expected padding of at most half the kernel ",
                  axis.kernel, ", got ", axis.padding);
  }
  constexpr int64_t kMostTaps = 1 << 24;  // a maximum keeps its tap as a float
  ATTNKIT_CHECK(shape.rows.kernel <= kMostTaps / shape.columns.kernel, "[", op, "] expected a kernel of at most ",
                kMostTaps, " pixels, got ", shape.rows.kernel, " x ", shape.columns.kernel);
  return shape;
}

Shape Outputs(const PoolShape& s) { return {s.batch, s.rows.outputs(), s.columns.outputs(), s.channels}; }
Shape Inputs(const PoolShape& s) { return {s.batch, s.rows.size, s.columns.size, s.channels}; }

}  // namespace

Tensor MaxPool2d(const Tensor& x, const PoolOptions& options) {
  const OpScope scope("max_pool2d", {&x});
  const PoolShape shape = CheckShape("max_pool2d", x, options);
  const bool record = NeedsGrad({x});
  Tensor y = x.New(Outputs(shape)), taps = record ? x.New(Outputs(shape)) : Tensor();
  x.kernels().MaxPoolForward(shape, x.data(), y.data(), record ? taps.data() : nullptr);
  if (record) {
    Record("max_pool2d", {x}, {&y}, [shape, taps](std::vector<Tensor>& dy) {
      Tensor dx = dy[0].New(Inputs(shape));
      dy[0].kernels().MaxPoolBackward(shape, dy[0].data(), taps.data(), dx.data());
      return std::vector<Tensor>{dx};
    });
  }
  return y;
}

Tensor AvgPool2d(const Tensor& x, const PoolOptions& options) {
  const OpScope scope("avg_pool2d", {&x});
  const PoolShape shape = CheckShape("avg_pool2d", x, options);
  Tensor y = x.New(Outputs(shape));
  x.kernels().AveragePoolForward(shape, x.data(), y.data());
  if (NeedsGrad({x})) {
    Record("avg_pool2d", {x}, {&y}, [shape](std::vector<Tensor>& dy) {
      Tensor dx = dy[0].New(Inputs(shape));
      dy[0].kernels().AveragePoolBackward(shape, dy[0].data(), dx.data());
      return std::vector<Tensor>{dx};
    });
  }
  return y;
}

}  // namespace attnkit::ops
