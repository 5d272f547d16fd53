// Ids of the device that the host must know to be of a table.
#pragma once

#include <cstdint>
#include <vector>

#include "attnkit/check.h"
#include "cuda/device.h"

namespace attnkit::cuda {

// Waits for them. check(id, index) throws for one that is not.
template <typename Check>
void CheckOnHost(const int32_t* ids, int64_t size, Check check) {
  std::vector<int32_t> numbers(size);
  CopyToHost(ids, size * sizeof(int32_t), numbers.data());
  for (int64_t i = 0; i < size; ++i) check(numbers[i], i);
}

}  // namespace attnkit::cuda
