#include "attnkit/ops/indices.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace attnkit::ops {

Indices::Indices(Buffer<int32_t> values) {
  auto checked = std::make_shared<Checked>();
  const int32_t* numbers = values.data();
  const int64_t size = values.size();
  if (size) {
    int32_t least = numbers[0], most = numbers[0];
    bool falls = false;
    for (int64_t i = 1; i < size; ++i) {
      least = std::min(least, numbers[i]);
      most = std::max(most, numbers[i]);
      falls |= numbers[i] < numbers[i - 1];
    }
    checked->minimum = least;
    checked->maximum = most;
    checked->offsets = numbers[0] == 0 && !falls;
  }
  checked->values = std::move(values);
  checked_ = std::move(checked);
}

bool Indices::Within(int64_t rows, int32_t besides) const {
  if (Within(rows)) return true;
  return std::all_of(data(), data() + size(),
                     [=](int32_t index) { return index == besides || (index >= 0 && index < rows); });
}

Indices::Checked::~Checked() {
  for (const CopyOnDevice* copy = copies; copy;) delete std::exchange(copy, copy->next);
}

const int32_t* Indices::Copied(const Context& context) const {
  const CopyOnDevice* first = checked_->copies;
  for (const CopyOnDevice* copy = first; copy; copy = copy->next) {
    if (&copy->values.context() == &context) return static_cast<const int32_t*>(copy->values.data());
  }
  auto* copy = new CopyOnDevice{{context, DType::kInt32, size()}, first};
  context.CopyFromHost(data(), size() * sizeof(int32_t), copy->values.data());
  // Two threads may both copy: the second finds its place behind the first.
  while (!checked_->copies.compare_exchange_weak(copy->next, copy)) {
  }
  return static_cast<const int32_t*>(copy->values.data());
}

Indices Indices::Copy(const int32_t* values, int64_t size) {
  Buffer<int32_t> copy(size);
  if (size) std::memcpy(copy.data(), values, size * sizeof(int32_t));
  return Indices(std::move(copy));
}

}  // namespace attnkit::ops
