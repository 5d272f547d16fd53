// Numbers that scale a part of a batch: the channels of an image, the rows of a sequence.
#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/op_scope.h"
#include "attnkit/ops/vision.h"
#include "ops/offsets.h"

namespace attnkit::ops {
Tensor ScaleChannels(const Tensor& x, const Tensor& gate) {
  const OpScope scope("scale_channels", {&x, &gate});
  ATTNKIT_CHECK(x.rank() >= 2, "[scale_channels] expected x of shape [B, ..., C], got ", ToString(x.shape()));
  const int64_t images = x.dim(0), channels = x.columns();
  ATTNKIT_CHECK((gate.shape() == Shape{images, channels}), "[scale_channels] expected gate of shape [", images, ", ",
                channels, "], got ", ToString(gate.shape()));
  const int64_t pixels = images ? x.rows() / images : 0;
  Tensor y = x.New(x.shape());
  x.kernels().ScaleChannels(x.data(), gate.data(), images, pixels, channels, y.data());
  if (NeedsGrad({x, gate})) {
    Record("scale_channels", {x, gate}, {&y}, [=, x = Kept(x), gate = Kept(gate)](std::vector<Tensor>& dy) {
      Tensor dx = x.New(x.shape()), dgate = gate.New(gate.shape());
      dy[0].kernels().ScaleChannels(dy[0].data(), gate.data(), images, pixels, channels, dx.data());
      x.kernels().ScaleChannelsGateGradient(x.data(), dy[0].data(), images, pixels, channels, dgate.data());
      return std::vector<Tensor>{dx, dgate};
    });
  }
  return y;
}

Tensor AddScaledSequences(const Tensor& residual, const Tensor& x, const Indices& offsets,
                          const std::vector<float>& scale) {
  const OpScope scope("add_scaled_sequences", {&residual, &x});
  ATTNKIT_CHECK(residual.shape() == x.shape() && x.rank() >= 1, "[add_scaled_sequences] expected x of shape ",
                ToString(residual.shape()), ", got ", ToString(x.shape()));
  ATTNKIT_CHECK(offsets.size() == static_cast<int64_t>(scale.size()) + 1,
                "[add_scaled_sequences] expected a number for each of ", offsets.size() - 1, " sequences, got ",
                scale.size());
  CheckOffsets("add_scaled_sequences", "offsets", offsets, x.dim(0));
  const int64_t columns = x.dim(0) ? x.size() / x.dim(0) : 0;
  Tensor factors = x.New({static_cast<int64_t>(scale.size())});
  factors.CopyFrom(scale.data());
  Tensor out = x.New(x.shape());
  x.kernels().AddScaledSequences(residual.data(), x.data(), offsets.On(x.context()), factors.data(), factors.size(),
                                 columns, out.data());
  if (NeedsGrad({residual, x})) {
    Record("add_scaled_sequences", {residual, x}, {&out}, [=](std::vector<Tensor>& dy) {
      Tensor dx = dy[0].New(dy[0].shape());
      dx.kernels().AddScaledSequences(nullptr, dy[0].data(), offsets.On(dx.context()), factors.data(), factors.size(),
                                      columns, dx.data());
      return std::vector<Tensor>{dy[0], dx};
    });
  }
  return out;
}

}  // namespace attnkit::ops
