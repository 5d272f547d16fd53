// Ops that move numbers without computing: reshape, permute, slice, concatenate, gather, broadcast; and their opposite,
// sums.
#include <algorithm>

#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/kernels/memory.h"
#include "attnkit/kernels/reduce.h"
#include "attnkit/op_scope.h"
#include "attnkit/ops/shape.h"
#include "ops/offsets.h"

namespace attnkit::ops {
namespace {

int64_t CheckAxis(const char* op, int64_t axis, int64_t rank) {
  ATTNKIT_CHECK(axis >= -rank && axis < rank, "[", op, "] expected an axis from ", -rank, " to ", rank - 1, ", got ",
                axis);
  return axis < 0 ? axis + rank : axis;
}

// The sizes before, at and after an axis.
struct Blocks {
  int64_t outer = 1, length = 1, inner = 1;
};

Blocks SplitAt(const Shape& shape, int64_t axis) {
  Blocks blocks;
  for (int64_t i = 0; i < static_cast<int64_t>(shape.size()); ++i)
    (i < axis ? blocks.outer : i == axis ? blocks.length : blocks.inner) *= shape[i];
  return blocks;
}

Shape StridesOf(const Shape& shape) {
  Shape strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

Tensor SumAxisForward(const Tensor& x, int64_t axis, bool keep) {
  const Blocks blocks = SplitAt(x.shape(), axis);
  Shape shape = x.shape();
  if (keep) {
    shape[axis] = 1;
  } else {
    shape.erase(shape.begin() + axis);
  }
  Tensor out = x.New(std::move(shape));
  x.kernels().SumAxis(x.data(), blocks.outer, blocks.length, blocks.inner, out.data());
  return out;
}

// The opposite of BroadcastTo: sums over the axes that were added or stretched.
Tensor SumTo(const Tensor& x, const Shape& shape) {
  Tensor sum = x;
  while (sum.rank() > static_cast<int64_t>(shape.size())) sum = SumAxisForward(sum, 0, false);
  for (int64_t axis = 0; axis < sum.rank(); ++axis) {
    if (shape[axis] == 1 && sum.dim(axis) != 1) sum = SumAxisForward(sum, axis, true);
  }
  return sum;
}

// Rows of an int8 weight are one, too.
Tensor GatherQuantized(const Tensor& x, const Indices& rows) {
  auto quantization = std::make_shared<kernels::Quantization>();
  quantization->input_multiplier = x.quantization().input_multiplier;
  quantization->multipliers = Buffer<float>(rows.size());
  for (int64_t i = 0; i < rows.size(); ++i) quantization->multipliers[i] = x.quantization().multipliers[rows[i]];
  Tensor out({rows.size(), x.dim(1)}, x.context(), DType::kInt8);
  out.storage().SetQuantization(std::move(quantization));
  x.kernels().GatherBytes(x.quantized(), rows.On(x.context()), rows.size(), x.dim(1), out.quantized());
  return out;
}

}  // namespace

Tensor Reshape(const Tensor& x, Shape shape) {
  const auto unknown = std::find(shape.begin(), shape.end(), -1);
  if (unknown != shape.end()) {
    *unknown = 1;
    const int64_t known = SizeOf(shape);
    *unknown = known > 0 ? x.size() / known : -1;
  }
  ATTNKIT_CHECK(SizeOf(shape) == x.size(), "[reshape] expected a shape of ", x.size(), " numbers, got ",
                ToString(shape));
  Tensor out = x.View(shape);
  if (NeedsGrad({x})) {
    Record("reshape", {x}, {&out},
           [before = x.shape()](std::vector<Tensor>& dy) { return std::vector<Tensor>{dy[0].View(before)}; });
  }
  return out;
}

Tensor Permute(const Tensor& x, const std::vector<int64_t>& axes) {
  const OpScope scope("permute", {&x});
  const int64_t rank = x.rank();
  ATTNKIT_CHECK(static_cast<int64_t>(axes.size()) == rank, "[permute] expected ", rank, " axes, got ", axes.size());
  const Shape strides = StridesOf(x.shape());
  Shape shape(rank), read(rank);
  std::vector<int64_t> inverse(rank, -1);
  for (int64_t i = 0; i < rank; ++i) {
    const int64_t axis = CheckAxis("permute", axes[i], rank);
    ATTNKIT_CHECK(inverse[axis] < 0, "[permute] expected each axis once, got ", ToString(axes));
    inverse[axis] = i;
    shape[i] = x.dim(axis);
    read[i] = strides[axis];
  }
  Tensor out = x.New(shape);
  x.kernels().CopyStrided(x.data(), read, shape, out.data());
  if (NeedsGrad({x})) {
    Record("permute", {x}, {&out},
           [inverse](std::vector<Tensor>& dy) { return std::vector<Tensor>{Permute(dy[0], inverse)}; });
  }
  return out;
}

Tensor Slice(const Tensor& x, int64_t axis, int64_t begin, int64_t end) {
  const OpScope scope("slice", {&x});
  axis = CheckAxis("slice", axis, x.rank());
  const Blocks blocks = SplitAt(x.shape(), axis);
  ATTNKIT_CHECK(begin >= 0 && begin <= end && end <= blocks.length,
                "[slice] expected 0 <= begin <= end <= ", blocks.length, ", got ", begin, " and ", end);
  Shape shape = x.shape();
  shape[axis] = end - begin;
  Tensor out = x.New(shape);
  const int64_t row = (end - begin) * blocks.inner, whole = blocks.length * blocks.inner, first = begin * blocks.inner;
  x.kernels().CopyRows(x.data() + first, whole, blocks.outer, row, out.data(), row);
  if (NeedsGrad({x})) {
    Record("slice", {x}, {&out}, [=, outer = blocks.outer, before = x.shape()](std::vector<Tensor>& dy) {
      Tensor dx = dy[0].NewZeros(before);
      dy[0].kernels().CopyRows(dy[0].data(), row, outer, row, dx.data() + first, whole);
      return std::vector<Tensor>{dx};
    });
  }
  return out;
}

Tensor Concatenate(const std::vector<Tensor>& parts, int64_t axis) {
  const OpScope scope("concatenate", parts);
  ATTNKIT_CHECK(!parts.empty(), "[concatenate] expected at least one tensor");
  axis = CheckAxis("concatenate", axis, parts[0].rank());
  Shape shape = parts[0].shape();
  shape[axis] = 0;
  for (const Tensor& part : parts) {
    Shape expected = parts[0].shape();
    if (part.rank() == parts[0].rank()) expected[axis] = part.dim(axis);
    ATTNKIT_CHECK(part.shape() == expected, "[concatenate] expected shape ", ToString(expected), ", got ",
                  ToString(part.shape()));
    shape[axis] += part.dim(axis);
  }
  Tensor out = parts[0].New(shape);
  const Blocks blocks = SplitAt(shape, axis);
  std::vector<int64_t> bounds{0};
  for (const Tensor& part : parts) {
    const int64_t row = part.dim(axis) * blocks.inner;
    part.kernels().CopyRows(part.data(), row, blocks.outer, row, out.data() + bounds.back() * blocks.inner,
                            blocks.length * blocks.inner);
    bounds.push_back(bounds.back() + part.dim(axis));
  }
  if (NeedsGrad(parts)) {
    Record("concatenate", parts, {&out}, [axis, bounds](std::vector<Tensor>& dy) {
      std::vector<Tensor> gradients;
      for (size_t i = 0; i + 1 < bounds.size(); ++i) gradients.push_back(Slice(dy[0], axis, bounds[i], bounds[i + 1]));
      return gradients;
    });
  }
  return out;
}

Tensor GatherRows(const Tensor& x, const Indices& rows) {
  const OpScope scope("gather_rows", {}, {&x});
  ATTNKIT_CHECK(x.rank() >= 1, "[gather_rows] expected at least one axis, got []");
  const int64_t row = x.dim(0) ? x.size() / x.dim(0) : 0;
  Shape shape = x.shape();
  shape[0] = rows.size();
  CheckRows("gather_rows", rows, x.dim(0));
  if (x.dtype() == DType::kInt8) return GatherQuantized(x, rows);
  Tensor out = x.New(shape);
  if (x.dtype() == DType::kBFloat16) {
    x.kernels().GatherWidened(x.bits(), rows.On(x.context()), rows.size(), row, out.data());
  } else {
    x.kernels().GatherRows(x.data(), rows.On(x.context()), rows.size(), row, out.data());
  }
  if (NeedsGrad({x})) {
    Record("gather_rows", {x}, {&out}, [rows, row, before = x.shape()](std::vector<Tensor>& dy) {
      Tensor dx = dy[0].NewZeros(before);
      dy[0].kernels().AddToRows(dy[0].data(), rows.On(dx.context()), rows.size(), row, dx.data());
      return std::vector<Tensor>{dx};
    });
  }
  return out;
}

Tensor BroadcastTo(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  const OpScope scope("broadcast_to", {&x});
  const Shape own = StridesOf(x.shape());
  const int64_t added = static_cast<int64_t>(shape.size()) - x.rank();
  ATTNKIT_CHECK(added >= 0, "[broadcast_to] expected at most ", shape.size(), " axes, got ", ToString(x.shape()));
  Shape strides(shape.size(), 0);
  for (int64_t i = 0; i < x.rank(); ++i) {
    ATTNKIT_CHECK(x.dim(i) == 1 || x.dim(i) == shape[added + i], "[broadcast_to] expected a shape that broadcasts to ",
                  ToString(shape), ", got ", ToString(x.shape()));
    strides[added + i] = x.dim(i) == 1 ? 0 : own[i];
  }
  Tensor out = x.New(shape);
  x.kernels().CopyStrided(x.data(), strides, shape, out.data());
  if (NeedsGrad({x})) {
    Record("broadcast_to", {x}, {&out},
           [before = x.shape()](std::vector<Tensor>& dy) { return std::vector<Tensor>{SumTo(dy[0], before)}; });
  }
  return out;
}

Tensor SumAll(const Tensor& x) {
  const OpScope scope("sum", {&x});
  Tensor out = x.New({});
  x.kernels().SumTo(x.data(), x.size(), 1.0f, out.data());
  if (NeedsGrad({x})) {
    Record("sum", {x}, {&out},
           [before = x.shape()](std::vector<Tensor>& dy) { return std::vector<Tensor>{BroadcastTo(dy[0], before)}; });
  }
  return out;
}

Tensor SumAxis(const Tensor& x, int64_t axis, bool keep) {
  const OpScope scope("sum", {&x});
  axis = CheckAxis("sum", axis, x.rank());
  Tensor out = SumAxisForward(x, axis, keep);
  if (NeedsGrad({x})) {
    Shape kept = x.shape();
    kept[axis] = 1;
    Record("sum", {x}, {&out}, [kept, before = x.shape()](std::vector<Tensor>& dy) {
      return std::vector<Tensor>{BroadcastTo(dy[0].View(kept), before)};
    });
  }
  return out;
}

}  // namespace attnkit::ops
