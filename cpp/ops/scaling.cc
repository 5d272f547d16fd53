// Numbers that scale a part of a batch: the channels of an image, the rows of a sequence.
#include <cstring>

#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/kernels/elementwise.h"
#include "attnkit/ops/vision.h"
#include "attnkit/threads.h"
#include "ops/offsets.h"

namespace attnkit::ops {
namespace {

// to = base + scale[b] * x on the rows of sequence b; base may be null.
void ScaleSequences(const float* base, const float* x, const Indices& offsets, const std::vector<float>& scale,
                    int64_t columns, float* to) {
  ParallelFor(static_cast<int64_t>(scale.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const int64_t first = offsets[b] * columns, size = (offsets[b + 1] - offsets[b]) * columns;
      if (base) {
        std::memcpy(to + first, base + first, size * sizeof(float));
        if (scale[b] != 0.0f) kernels::Axpy(scale[b], x + first, size, to + first);
      } else {
        kernels::Scale(x + first, scale[b], 0.0f, size, to + first);
      }
    }
  });
}

}  // namespace

Tensor ScaleChannels(const Tensor& x, const Tensor& gate) {
  ATTNKIT_CHECK(x.rank() >= 2, "[scale_channels] expected x of shape [B, ..., C], got ", ToString(x.shape()));
  const int64_t images = x.dim(0), channels = x.columns();
  ATTNKIT_CHECK((gate.shape() == Shape{images, channels}), "[scale_channels] expected gate of shape [", images, ", ",
                channels, "], got ", ToString(gate.shape()));
  const int64_t pixels = images ? x.rows() / images : 0;
  Tensor y(x.shape());
  kernels::ScaleChannels(x.data(), gate.data(), images, pixels, channels, y.data());
  if (NeedsGrad({x, gate})) {
    Record("scale_channels", {x, gate}, {&y}, [=, x = x.Detach(), gate = gate.Detach()](std::vector<Tensor>& dy) {
      Tensor dx(x.shape()), dgate(gate.shape());
      kernels::ScaleChannels(dy[0].data(), gate.data(), images, pixels, channels, dx.data());
      kernels::ScaleChannelsGateGradient(x.data(), dy[0].data(), images, pixels, channels, dgate.data());
      return std::vector<Tensor>{dx, dgate};
    });
  }
  return y;
}

Tensor AddScaledSequences(const Tensor& residual, const Tensor& x, const Indices& offsets,
                          const std::vector<float>& scale) {
  ATTNKIT_CHECK(residual.shape() == x.shape() && x.rank() >= 1, "[add_scaled_sequences] expected x of shape ",
                ToString(residual.shape()), ", got ", ToString(x.shape()));
  ATTNKIT_CHECK(offsets.size() == static_cast<int64_t>(scale.size()) + 1,
                "[add_scaled_sequences] expected a number for each of ", offsets.size() - 1, " sequences, got ",
                scale.size());
  CheckOffsets("add_scaled_sequences", "offsets", offsets, x.dim(0));
  const int64_t columns = x.dim(0) ? x.size() / x.dim(0) : 0;
  Tensor out(x.shape());
  ScaleSequences(residual.data(), x.data(), offsets, scale, columns, out.data());
  if (NeedsGrad({residual, x})) {
    Record("add_scaled_sequences", {residual, x}, {&out}, [=](std::vector<Tensor>& dy) {
      Tensor dx(dy[0].shape());
      ScaleSequences(nullptr, dy[0].data(), offsets, scale, columns, dx.data());
      return std::vector<Tensor>{dy[0], dx};
    });
  }
  return out;
}

}  // namespace attnkit::ops
