// Checks of the offsets of packed sentences.
#pragma once

#include "attnkit/check.h"
#include "attnkit/ops.h"

namespace attnkit::ops {

// Throws std::invalid_argument unless they rise from 0 to `tokens`.
inline void CheckOffsets(const char* op, const char* what, const Indices& offsets, int64_t tokens) {
  const int64_t size = offsets.size();
  ATTNKIT_CHECK(size >= 1 && offsets[0] == 0 && offsets[size - 1] == tokens, "[", op, "] expected ", what,
                " from 0 to ", tokens, ", got ", size ? offsets[0] : -1, " to ", size ? offsets[size - 1] : -1);
  for (int64_t i = 1; i < size; ++i) {
    ATTNKIT_CHECK(offsets[i - 1] <= offsets[i], "[", op, "] expected ", what, " that never fall, got ", offsets[i - 1],
                  " before ", offsets[i]);
  }
}

}  // namespace attnkit::ops
