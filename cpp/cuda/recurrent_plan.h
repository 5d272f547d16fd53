// The walk of recurrent units over sentences: all of them take a step together, the longest first, so that those still
// running are the first rows of the products.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "attnkit/kernels/recurrent.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"

namespace attnkit::cuda {

struct RecurrentSentence {
  int64_t index, begin, length;
};

// What a thread of the device knows of the walk. Rows of the scratch are [D, B]: row (d, i) is that of the i-th longest
// sentence.
struct RecurrentRows {
  const RecurrentSentence* sentences;
  int64_t batch, hidden, gates, directions;
  bool reverse;  // as in RecurrentShape

  __device__ int64_t width() const { return gates * hidden; }
  __device__ int64_t scratch(int64_t direction, int64_t i) const { return direction * batch + i; }
  __device__ int64_t state(int64_t direction, int64_t i) const {
    return direction * batch + sentences[i].index;  // of [D, B]
  }
  // The row of [T, D] that sentence i reads in a step.
  __device__ int64_t place(int64_t direction, int64_t i, int64_t step) const {
    const RecurrentSentence& sentence = sentences[i];
    const bool back = directions == 1 ? reverse : direction == 1;
    return (sentence.begin + (back ? sentence.length - 1 - step : step)) * directions + direction;
  }
};

class RecurrentWalk {
 public:
  explicit RecurrentWalk(const kernels::RecurrentShape& shape)
      : shape_(shape), sentences_(Sorted(shape)), on_device_(sentences_.data(), shape.batch) {}

  RecurrentRows rows() const {
    return {on_device_.data(), shape_.batch, shape_.hidden, shape_.gates(), shape_.directions, shape_.reverse};
  }
  int64_t steps() const { return sentences_.empty() ? 0 : sentences_[0].length; }
  // How many sentences take a step.
  int64_t active(int64_t step) const {
    return std::partition_point(sentences_.begin(), sentences_.end(),
                                [step](const RecurrentSentence& s) { return s.length > step; }) -
           sentences_.begin();
  }
  int64_t states() const { return shape_.directions * shape_.batch * shape_.hidden; }

 private:
  static std::vector<RecurrentSentence> Sorted(const kernels::RecurrentShape& shape) {
    std::vector<RecurrentSentence> sentences(shape.batch);
    for (int64_t b = 0; b < shape.batch; ++b)
      sentences[b] = {b, shape.offsets[b], shape.offsets[b + 1] - shape.offsets[b]};
    std::stable_sort(sentences.begin(), sentences.end(),
                     [](const RecurrentSentence& a, const RecurrentSentence& b) { return a.length > b.length; });
    return sentences;
  }

  const kernels::RecurrentShape& shape_;
  const std::vector<RecurrentSentence> sentences_;
  const Uploaded<RecurrentSentence> on_device_;
};

// to (d, i) = from (d, sentence i); zeros where `from` is null. Two arrays at once; `to` may be null.
struct GatherStates {
  RecurrentRows rows;
  const float* from[2];
  float* to[2];
  __device__ void operator()(int64_t element) const {
    const int64_t row = element / rows.hidden, h = element % rows.hidden;
    const int64_t at = rows.state(row / rows.batch, row % rows.batch) * rows.hidden + h;
    for (int k = 0; k < 2; ++k) {
      if (to[k]) to[k][element] = from[k] ? from[k][at] : 0.0f;
    }
  }
};

// And back.
struct ScatterStates {
  RecurrentRows rows;
  const float* from[2];
  float* to[2];
  __device__ void operator()(int64_t element) const {
    const int64_t row = element / rows.hidden, h = element % rows.hidden;
    const int64_t at = rows.state(row / rows.batch, row % rows.batch) * rows.hidden + h;
    for (int k = 0; k < 2; ++k) {
      if (to[k]) to[k][at] = from[k][element];
    }
  }
};

}  // namespace attnkit::cuda
