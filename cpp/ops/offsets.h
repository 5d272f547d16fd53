// Checks of the offsets of packed sentences, and of row numbers. Indices know whether they fit; they are gone through
// only to say what does not.
#pragma once

#include "attnkit/check.h"
#include "attnkit/ops/indices.h"

namespace attnkit::ops {

constexpr int64_t kAnyRows = -1;

// Throws std::invalid_argument unless they rise from 0 to `rows`, where that is known.
inline void CheckOffsets(const char* op, const char* what, const Indices& offsets, int64_t rows) {
  const int64_t size = offsets.size();
  const bool fits = size >= 1 && offsets[0] == 0 && (rows < 0 || offsets[size - 1] == rows);
  ATTNKIT_CHECK(fits, "[", op, "] expected ", what, " from 0", rows < 0 ? "" : Concat(" to ", rows), ", got ",
                size ? Concat(offsets[0], " to ", offsets[size - 1]) : "none");
  for (int64_t i = offsets.AreOffsets() ? size : 1; i < size; ++i) {
    ATTNKIT_CHECK(offsets[i - 1] <= offsets[i], "[", op, "] expected ", what, " that never fall, got ", offsets[i - 1],
                  " before ", offsets[i]);
  }
}

// Throws std::invalid_argument unless all lie in an array of so many rows.
inline void CheckRows(const char* op, const Indices& rows, int64_t count) {
  for (int64_t i = rows.Within(count) ? rows.size() : 0; i < rows.size(); ++i) {
    ATTNKIT_CHECK(rows[i] >= 0 && rows[i] < count, "[", op, "] expected rows from 0 to ", count - 1, ", got ", rows[i]);
  }
}

}  // namespace attnkit::ops
