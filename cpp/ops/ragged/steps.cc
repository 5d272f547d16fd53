// Sequences step by step, at a cost that does not grow with the number of steps.
#include <utility>

#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/kernels/memory.h"
#include "attnkit/op_scope.h"
#include "attnkit/ops/ragged.h"
#include "ops/offsets.h"

namespace attnkit::ops {
namespace {

int64_t RowSize(const Tensor& x) { return x.dim(0) ? x.size() / x.dim(0) : 0; }

Tensor Joined(const Tensor& joined, const std::vector<int64_t>& sizes, int64_t row, const std::vector<Tensor>& parts) {
  float* to = joined.data();
  for (size_t i = 0; i < sizes.size(); ++i) {
    const int64_t size = sizes[i] * row;
    if (parts[i]) {
      joined.kernels().Copy(parts[i].data(), size, to);
    } else {
      joined.kernels().Fill(0.0f, size, to);
    }
    to += size;
  }
  return joined;
}

}  // namespace

std::vector<Tensor> Split(const Tensor& x, const std::vector<int64_t>& sizes) {
  ATTNKIT_CHECK(x.rank() >= 1, "[split] expected at least one axis, got []");
  int64_t total = 0;
  for (const int64_t size : sizes) {
    ATTNKIT_CHECK(size >= 0 && size <= x.dim(0), "[split] expected sizes from 0 to ", x.dim(0), ", got ", size);
    total += size;
  }
  ATTNKIT_CHECK(total == x.dim(0), "[split] expected sizes that add up to ", x.dim(0), ", got ", total);
  const int64_t row = RowSize(x);
  std::vector<Tensor> parts;
  int64_t begin = 0;
  for (const int64_t size : sizes) {
    Shape shape = x.shape();
    shape[0] = size;
    parts.push_back(x.View(shape, begin * row));
    begin += size;
  }
  if (NeedsGrad({x})) {
    std::vector<Tensor*> outputs;
    for (Tensor& part : parts) outputs.push_back(&part);
    Record("split", {x}, outputs, [=, x = x.Detach()](std::vector<Tensor>& dy) {
      return std::vector<Tensor>{Joined(x.New(x.shape()), sizes, row, dy)};
    });
  }
  return parts;
}

Tensor WriteRows(const Tensor& buffer, const Indices& rows, const Tensor& x) {
  const OpScope scope("write_rows", {&buffer, &x});
  ATTNKIT_CHECK(buffer.rank() >= 1, "[write_rows] expected a buffer of at least one axis, got []");
  Shape shape = buffer.shape();
  shape[0] = rows.size();
  ATTNKIT_CHECK(x.shape() == shape, "[write_rows] expected x of shape ", ToString(shape), ", got ",
                ToString(x.shape()));
  buffer.storage().RequireWritable("write_rows");
  const int64_t row = RowSize(buffer);
  Tensor out = buffer.Detach();
  CheckRows("write_rows", rows, buffer.dim(0));
  x.kernels().ScatterRows(x.data(), rows.On(x.context()), rows.size(), row, out.data());
  out.storage().Touch();
  if (NeedsGrad({buffer, x})) {
    Record("write_rows", {buffer, x}, {&out}, [=](std::vector<Tensor>& dy) {
      Tensor dbuffer = std::move(dy[0]);
      if (!dbuffer.IsSoleOwner()) dbuffer = dbuffer.Clone();
      Tensor dx = dbuffer.New(shape);
      dbuffer.kernels().GatherRows(dbuffer.data(), rows.On(dx.context()), rows.size(), row, dx.data());
      dbuffer.kernels().FillRows(0.0f, rows.On(dx.context()), rows.size(), row, dbuffer.data());
      return std::vector<Tensor>{dbuffer, dx};
    });
  }
  return out;
}

}  // namespace attnkit::ops
