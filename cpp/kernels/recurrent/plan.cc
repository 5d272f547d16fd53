#include "kernels/recurrent/plan.h"

#include <algorithm>

#include "attnkit/threads.h"

namespace attnkit::kernels::recurrent {
namespace {

// A group reads the recurrent matrix once a step: large ones, which do not stay in the second-level cache, want many
// rows, small ones want their states and products to stay there beside them.
constexpr int64_t kCachedNumbers = 256 * 1024, kRowsCached = 32, kRowsStreamed = 128;
constexpr int64_t kFewestRows = 8;  // the height of a register tile

int64_t RowsOfGroup(const RecurrentShape& shape) {
  const int64_t numbers = shape.gates() * shape.hidden * shape.hidden;
  const int64_t most = numbers <= kCachedNumbers ? kRowsCached : kRowsStreamed;
  const int64_t threads = (ThreadCount() + shape.directions - 1) / shape.directions;
  const int64_t share = (shape.batch + threads - 1) / threads;
  return std::clamp((share + kFewestRows - 1) / kFewestRows * kFewestRows, kFewestRows, most);
}

}  // namespace

Plan::Plan(const RecurrentShape& shape) : shape_(shape), sentences_(shape.batch), rows_(RowsOfGroup(shape)) {
  for (int64_t b = 0; b < shape.batch; ++b)
    sentences_[b] = {b, shape.offsets[b], shape.offsets[b + 1] - shape.offsets[b]};
  std::stable_sort(sentences_.begin(), sentences_.end(),
                   [](const Sentence& a, const Sentence& b) { return a.length > b.length; });
}

Group Plan::at(int64_t i) const {
  const int64_t direction = i % shape_.directions, begin = i / shape_.directions * rows_;
  return {direction, shape_.reversed(direction), sentences_.data() + begin, std::min(rows_, shape_.batch - begin)};
}

}  // namespace attnkit::kernels::recurrent
