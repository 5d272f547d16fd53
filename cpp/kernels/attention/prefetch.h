// Brings the rows of the next head into the cache while this one is computed. Heads of short sentences are a few kilobytes
// each, too short for the hardware to notice a stream.
#pragma once

#include <cstdint>

namespace attnkit::kernels::attention {

class Prefetcher {
 public:
  // Forgets all rows; the next ones are spread over `steps` calls of Step.
  void Start(int64_t steps) {
    steps_ = steps;
    step_ = count_ = 0;
  }

  void Add(const float* rows, int64_t stride, int64_t columns, int64_t count) {
    streams_[count_++] = {reinterpret_cast<const char*>(rows), stride * kFloat, columns * kFloat, count};
  }

  void Step() {
    if (step_ >= steps_) return;
    for (int s = 0; s < count_; ++s) {
      const Stream& stream = streams_[s];
      for (int64_t r = step_ * stream.count / steps_; r < (step_ + 1) * stream.count / steps_; ++r) {
        const char* row = stream.data + r * stream.stride;
        for (int64_t at = 0; at < stream.bytes; at += kLine) __builtin_prefetch(row + at, 0, 2);
      }
    }
    ++step_;
  }

 private:
  static constexpr int64_t kFloat = sizeof(float), kLine = 64;
  struct Stream {
    const char* data;
    int64_t stride, bytes, count;
  };
  Stream streams_[8];
  int count_ = 0;
  int64_t steps_ = 0, step_ = 0;
};

}  // namespace attnkit::kernels::attention
