// The maximum of a row and the sum of its exponentials in one pass ("online softmax": Milakov & Gimelshein, 2018).
#pragma once

#include <cstdint>

#include "cuda/row_threads.h"

namespace attnkit::cuda {

class RowExponentials {
 public:
  __device__ void Add(float x) {
    if (x > maximum_) {
      // x - x is 0, or NaN of an infinity, as e^(x - maximum) would be.
      sum_ = sum_ * expf(maximum_ - x) + (1.0f + (x - x));
      maximum_ = x;
    } else if (x != -INFINITY) {
      sum_ += expf(x - maximum_);  // NaN comes here too
    }
  }

  // Of what all threads of the row have added.
  template <typename Threads>
  __device__ void Combine(Threads& threads) {
    const float maximum = threads.Maximum(maximum_);
    sum_ = threads.Sum(maximum_ == -INFINITY ? sum_ : sum_ * expf(maximum_ - maximum));
    maximum_ = maximum;
  }

  __device__ float maximum() const { return maximum_; }
  // What e^x is taken of x less this: a row of -inf is shifted by nothing, -inf - -inf would be NaN.
  __device__ float shift() const { return maximum_ == -INFINITY ? 0.0f : maximum_; }
  __device__ float sum() const { return sum_; }  // of e^(x - shift); 0 for a row of -inf

 private:
  float maximum_ = -INFINITY, sum_ = 0.0f;
};

}  // namespace attnkit::cuda
