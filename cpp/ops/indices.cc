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

Indices Indices::Copy(const int32_t* values, int64_t size) {
  Buffer<int32_t> copy(size);
  if (size) std::memcpy(copy.data(), values, size * sizeof(int32_t));
  return Indices(std::move(copy));
}

}  // namespace attnkit::ops
