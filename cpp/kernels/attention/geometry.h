// Where the rows of each sequence lie, which keys a query sees, and how the work is split into pieces.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "attnkit/kernels/attention.h"
#include "attnkit/profile.h"

namespace attnkit::kernels::attention {

constexpr int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
constexpr int64_t RoundUp(int64_t a, int64_t multiple) { return CeilDiv(a, multiple) * multiple; }

constexpr int64_t kFewQueries = 4;  // up to here transposing the keys for the scores costs more than it saves

struct Range {
  int64_t begin = 0, end = 0;
  bool empty() const { return begin >= end; }
  int64_t size() const { return end - begin; }
};

inline Range Intersect(Range a, Range b) { return {std::max(a.begin, b.begin), std::min(a.end, b.end)}; }

struct Sequence {
  int64_t queries = 0, keys = 0;
  int64_t query_row = 0;  // its first query among the queries of all sequences
};

inline Sequence SequenceAt(const AttentionShape& shape, int64_t b) {
  Sequence sequence{shape.queries, shape.keys, b * shape.queries};
  if (shape.query_offsets) {
    sequence.query_row = shape.query_offsets[b];
    sequence.queries = shape.query_offsets[b + 1] - shape.query_offsets[b];
  }
  if (shape.key_offsets) sequence.keys = shape.key_offsets[b + 1] - shape.key_offsets[b];
  return sequence;
}

// First row of sequence b, head h.
template <typename T>
T* HeadRows(T* data, const HeadsLayout& layout, const int32_t* offsets, int64_t b, int64_t h) {
  return data + (offsets ? offsets[b] * layout.row_stride : b * layout.batch_stride) + h * layout.head_stride;
}

inline int64_t LongestKeys(const AttentionShape& shape) {
  if (!shape.key_offsets) return shape.keys;
  int64_t longest = 0;
  for (int64_t b = 0; b < shape.batch; ++b) longest = std::max(longest, SequenceAt(shape, b).keys);
  return longest;
}

inline int64_t LongestQueries(const AttentionShape& shape) {
  if (!shape.query_offsets) return shape.queries;
  int64_t longest = 0;
  for (int64_t b = 0; b < shape.batch; ++b) longest = std::max(longest, SequenceAt(shape, b).queries);
  return longest;
}

// False when every query sees every key.
inline bool SeesByPosition(const AttentionShape& shape) {
  return shape.causal || shape.window_left >= 0 || shape.window_right >= 0;
}

// Whether some query may not see some key.
inline bool Hides(const AttentionShape& shape) { return SeesByPosition(shape) || shape.mask_kind != MaskKind::kNone; }

// The keys that query i of a sequence sees; both ends rise with i.
inline Range VisibleKeys(const AttentionShape& shape, int64_t i, int64_t keys) {
  const int64_t position = i + shape.query_offset;
  int64_t begin = 0, end = keys;
  if (shape.window_left >= 0) begin = position - shape.window_left;
  if (shape.window_right >= 0) end = position + shape.window_right + 1;
  if (shape.causal) end = std::min(end, position + 1);
  begin = std::clamp<int64_t>(begin, 0, keys);
  return {begin, std::clamp<int64_t>(end, begin, keys)};
}

// The keys that any of the queries sees.
inline Range VisibleKeys(const AttentionShape& shape, Range queries, int64_t keys) {
  return {VisibleKeys(shape, queries.begin, keys).begin, VisibleKeys(shape, queries.end - 1, keys).end};
}

// What is multiplied between queries and the keys that they see by their places, `widths` numbers for each head.
inline void CountProducts(const AttentionShape& shape, int64_t widths) {
  if (!internal::Watching()) return;
  double pairs = 0;
  for (int64_t b = 0; b < shape.batch; ++b) {
    const Sequence sequence = SequenceAt(shape, b);
    for (int64_t i = 0; i < sequence.queries; ++i) {
      pairs += static_cast<double>(VisibleKeys(shape, i, sequence.keys).size());
    }
  }
  CountArithmetic(2.0 * pairs * shape.heads * widths, 0);
}

// Equal blocks of at most `longest` that cover `count`, each a multiple of `multiple` but for the last.
inline int64_t BlockSize(int64_t count, int64_t longest, int64_t multiple) {
  if (count <= longest) return RoundUp(count, multiple);
  return RoundUp(CeilDiv(count, CeilDiv(count, longest)), multiple);
}

// A run of tasks for one thread: `count` tasks from number `task` of sequence `sequence` on, going on into the
// sequences that follow.
struct Piece {
  int64_t sequence = 0, task = 0, count = 0;
};

// Splits the tasks of all sequences into pieces of about equal cost, in order. Costs are in multiply-adds, so that a
// piece is worth waking a thread for on any CPU, and the pieces do not depend on how many threads there are.
template <typename TaskCount, typename TaskCost>
std::vector<Piece> SplitTasks(int64_t batch, const TaskCount& task_count, const TaskCost& task_cost) {
  constexpr double kMinCost = 1 << 20, kMaxPieces = 256;
  double total = 0;
  for (int64_t b = 0; b < batch; ++b) total += static_cast<double>(task_count(b)) * task_cost(b);
  const double target = std::max(kMinCost, total / kMaxPieces);
  std::vector<Piece> pieces;
  Piece piece;
  double cost = 0;
  for (int64_t b = 0; b < batch; ++b) {
    const int64_t tasks = task_count(b);
    const double each = task_cost(b);
    for (int64_t t = 0; t < tasks; ++t) {
      if (piece.count == 0) piece = {b, t, 0};
      ++piece.count;
      cost += each;
      if (cost >= target) {
        pieces.push_back(piece);
        piece.count = 0;
        cost = 0;
      }
    }
  }
  if (piece.count > 0) pieces.push_back(piece);
  return pieces;
}

}  // namespace attnkit::kernels::attention
