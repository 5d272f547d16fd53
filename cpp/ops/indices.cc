#include "attnkit/ops/indices.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

#include "base/fork_safe_mutex.h"

namespace attnkit::ops {
namespace {

ForkSafeMutex mutex;  // of the copies of all Indices

}  // namespace

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

const int32_t* Indices::Copied(const Context& context) const {
  std::lock_guard<ForkSafeMutex> lock(mutex);
  for (const auto& copy : checked_->copies) {
    if (&copy->context() == &context) return static_cast<const int32_t*>(copy->data());
  }
  auto copy = std::make_unique<Storage>(context, DType::kInt32, size());
  context.CopyFromHost(data(), size() * sizeof(int32_t), copy->data());
  checked_->copies.push_back(std::move(copy));
  return static_cast<const int32_t*>(checked_->copies.back()->data());
}

Indices Indices::Copy(const int32_t* values, int64_t size) {
  Buffer<int32_t> copy(size);
  if (size) std::memcpy(copy.data(), values, size * sizeof(int32_t));
  return Indices(std::move(copy));
}

}  // namespace attnkit::ops
