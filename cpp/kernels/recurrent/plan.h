// Which sentences are walked together: sorted by length, in groups that one thread takes through all their steps.
//
// Threads that met at every step would wait for each other longer than a step takes. In a group the longest sentences
// come first, so that those still running at a step are its first rows.
#pragma once

#include <vector>

#include "attnkit/kernels/recurrent.h"

namespace attnkit::kernels::recurrent {

struct Sentence {
  int64_t index, begin, length;
};

// One direction of one group.
struct Group {
  int64_t direction;
  bool reverse;
  const Sentence* sentences;  // longest first
  int64_t count;

  int64_t longest() const { return count ? sentences[0].length : 0; }
  int64_t token(int64_t i, int64_t step) const {
    const Sentence& sentence = sentences[i];
    return sentence.begin + (reverse ? sentence.length - 1 - step : step);
  }
};

// What all steps multiply by the recurrent matrix.
inline double Operations(const RecurrentShape& shape) {
  return 2.0 * shape.tokens() * shape.directions * shape.gates() * shape.hidden * shape.hidden;
}

class Plan {
 public:
  explicit Plan(const RecurrentShape& shape);
  int64_t groups() const { return shape_.directions * CeilDiv(shape_.batch, rows_); }
  // Longest first, so that the threads end at about the same time.
  Group at(int64_t i) const;

 private:
  static int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

  const RecurrentShape& shape_;
  std::vector<Sentence> sentences_;
  int64_t rows_;  // of a group
};

}  // namespace attnkit::kernels::recurrent
