// Going through the rows of a ragged batch, and how many of them make a piece of a parallel loop.
#pragma once

#include <algorithm>
#include <cstdint>

#include "attnkit/kernels/ragged.h"
#include "attnkit/threads.h"
#include "kernels/grain.h"

namespace attnkit::kernels {

// The sentence that a row belongs to; empty sentences have none.
inline int64_t SentenceOf(const int32_t* offsets, int64_t batch, int64_t row) {
  return std::upper_bound(offsets, offsets + batch + 1, static_cast<int32_t>(row)) - offsets - 1;
}

// The queries begin .. end - 1, one after the other: for (QueryWalk q(shape, begin, end); q; q.Next()).
struct QueryWalk {
  const RaggedShape& shape;
  int64_t row, end, sentence;
  int64_t pairs = 0, first_key = 0, keys = 0;  // where the pairs of the query lie, and its keys
  int64_t from = 0, to = 0;                    // those of them that it reads

  QueryWalk(const RaggedShape& s, int64_t first, int64_t last)
      : shape(s), row(first), end(last), sentence(first < last ? SentenceOf(s.query_offsets, s.batch, first) : 0) {
    if (row < end) Locate();
  }
  explicit operator bool() const { return row < end; }
  void Next() {
    if (++row < end) Locate();
  }

 protected:
  void Locate() {
    while (row >= shape.query_offsets[sentence + 1]) ++sentence;
    first_key = shape.key_offsets[sentence];
    keys = shape.key_offsets[sentence + 1] - first_key;
    pairs = shape.block_offsets[sentence] + (row - shape.query_offsets[sentence]) * keys;
    to = shape.ends ? std::clamp<int64_t>(shape.ends[row], 0, keys) : keys;
    from = shape.begins ? std::clamp<int64_t>(shape.begins[row], 0, to) : 0;
  }
};

// Zeros for the pairs of a query that it does not read.
inline void ZeroUnread(const QueryWalk& q, float* rows) {
  std::fill(rows + q.pairs, rows + q.pairs + q.from, 0.0f);
  std::fill(rows + q.pairs + q.to, rows + q.pairs + q.keys, 0.0f);
}

// How many pairs are read.
inline int64_t PairsRead(const RaggedShape& shape) {
  if (!shape.begins) return shape.pairs();
  int64_t pairs = 0;
  for (QueryWalk q(shape, 0, shape.queries()); q; q.Next()) pairs += q.to - q.from;
  return pairs;
}

// The same without the queries that have no keys. No memory bounds how many there are, only what offsets can count.
struct PairWalk : QueryWalk {
  PairWalk(const RaggedShape& s, int64_t first, int64_t last) : QueryWalk(s, first, last) { SkipEmpty(); }
  void Next() {
    QueryWalk::Next();
    SkipEmpty();
  }

 private:
  void SkipEmpty() {
    while (row < end && keys == 0) {
      row = std::min<int64_t>(shape.query_offsets[sentence + 1], end);
      if (row < end) Locate();
    }
  }
};

// The keys begin .. end - 1 likewise; pairs of a key lie `stride` numbers apart.
struct KeyWalk {
  const RaggedShape& shape;
  int64_t row, end, sentence;
  int64_t pairs = 0, stride = 0, first_query = 0, queries = 0;

  KeyWalk(const RaggedShape& s, int64_t first, int64_t last)
      : shape(s), row(first), end(last), sentence(first < last ? SentenceOf(s.key_offsets, s.batch, first) : 0) {
    if (row < end) Locate();
  }
  explicit operator bool() const { return row < end; }
  void Next() {
    if (++row < end) Locate();
  }

 private:
  void Locate() {
    while (row >= shape.key_offsets[sentence + 1]) ++sentence;
    const int64_t first = shape.key_offsets[sentence];
    stride = shape.key_offsets[sentence + 1] - first;
    pairs = shape.block_offsets[sentence] + (row - first);
    first_query = shape.query_offsets[sentence];
    queries = shape.query_offsets[sentence + 1] - first_query;
  }
};

// Rows of a piece, when the work on a pair is that of `width` elements. Depends on the shape alone.
inline int64_t RaggedGrain(const RaggedShape& shape, int64_t rows, int64_t width) {
  return RowGrain(width * (PairsRead(shape) / std::max<int64_t>(1, rows) + 1));
}

// run(begin, end) over the queries, in parallel.
template <typename Run>
void ParallelQueries(const RaggedShape& shape, int64_t width, const Run& run) {
  ParallelFor(shape.queries(), RaggedGrain(shape, shape.queries(), width), run);
}

}  // namespace attnkit::kernels
