// How much work a piece of a parallel loop gets.
#pragma once

#include <algorithm>
#include <cstdint>

namespace attnkit::kernels {

// Elements worth the waking of a thread, for kernels that do a few operations on each.
constexpr int64_t kGrainElements = 16 * 1024;

inline int64_t RowGrain(int64_t columns) {
  return std::max<int64_t>(1, kGrainElements / std::max<int64_t>(1, columns));
}

// The same for kernels that fetch ahead: of a large array a piece has a megabyte, since at its end a thread fetches
// rows that are another's.
inline int64_t StreamGrain(int64_t rows, int64_t columns) {
  constexpr int64_t kPieces = 64, kMostElements = 256 * 1024;
  return std::max(RowGrain(columns), std::min(rows / kPieces, kMostElements / std::max<int64_t>(1, columns)));
}

// Rows of a chunk for reductions over rows: at most `max_chunks` of them, each worth a thread. Depends on the shape
// alone, so the partial sums do not depend on the number of threads.
inline int64_t ReductionGrain(int64_t rows, int64_t columns, int64_t max_chunks) {
  return std::max(4 * RowGrain(columns), (rows + max_chunks - 1) / max_chunks);
}

// Outputs of more bytes than this are written past the caches: they would not stay there until they are read.
constexpr int64_t kStreamBytes = 32 << 20;

inline bool WorthStreaming(int64_t rows, int64_t columns) {
  return rows * columns * static_cast<int64_t>(sizeof(float)) > kStreamBytes;
}

}  // namespace attnkit::kernels
