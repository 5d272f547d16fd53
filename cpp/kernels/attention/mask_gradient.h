// Gradient of a float mask. Broadcast over sequences or heads, one number of the mask collects from many of them; the
// work is then split so that no two threads add to the same number, and sums have a fixed order.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "attnkit/allocator.h"
#include "attnkit/threads.h"
#include "kernels/attention/geometry.h"

namespace attnkit::kernels::attention {

// Where a thread adds: element (b, h, i, j) at the sum of index * stride.
struct MaskGradient {
  float* data = nullptr;
  int64_t strides[4] = {0, 0, 0, 0};
};

// Sequences and key/value heads that one thread takes, in order.
struct Region {
  Range sequences, kv_heads;
  MaskGradient target;
};

class MaskGradientPlan {
 public:
  MaskGradientPlan(const AttentionShape& shape, float* dmask) : shape_(shape), dmask_(dmask) {
    const bool over_sequences = shape.mask_strides[0] == 0 && shape.batch > 1;
    const bool over_heads = shape.mask_strides[1] == 0 && shape.kv_heads > 1;
    const Range sequences{0, shape.batch}, kv_heads{0, shape.kv_heads};
    MaskGradient whole{dmask, {}};
    std::copy_n(shape.mask_strides, 4, whole.strides);
    if (over_sequences && shape.mask_strides[2] < 0) {
      SplitDistances();
    } else if (over_sequences && over_heads) {
      SplitWithPartials();
    } else if (over_sequences) {
      for (int64_t h = 0; h < shape.kv_heads; ++h) regions_.push_back({sequences, {h, h + 1}, whole});
    } else if (over_heads) {
      for (int64_t b = 0; b < shape.batch; ++b) regions_.push_back({{b, b + 1}, kv_heads, whole});
    } else {
      for (int64_t b = 0; b < shape.batch; ++b) {
        for (int64_t h = 0; h < shape.kv_heads; ++h) regions_.push_back({{b, b + 1}, {h, h + 1}, whole});
      }
    }
  }

  const std::vector<Region>& regions() const { return regions_; }

  // Adds what the regions kept apart.
  void Finish() {
    const int64_t parts = partial_size_ > 0 ? partials_.size() / partial_size_ : 0;
    if (parts == 0) return;
    constexpr int64_t kGrain = 4096;
    ParallelFor(rows_ * columns_, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t at = begin; at < end; ++at) {
        float sum = 0;
        for (int64_t part = 0; part < parts; ++part) sum += partials_[part * partial_size_ + at];
        to_[at / columns_ * row_stride_ + at % columns_ * column_stride_] += sum;
      }
    });
  }

 private:
  // One [rows, columns] mask for everybody: a few runs of sequences (or heads) each add to a partial sum of their own.
  void SplitWithPartials() {
    constexpr int64_t kMaxParts = 8;
    const bool by_sequence = shape_.batch >= shape_.kv_heads;
    const int64_t count = by_sequence ? shape_.batch : shape_.kv_heads, parts = std::min(count, kMaxParts);
    rows_ = shape_.mask_strides[2] ? LongestQueries(shape_) : 1;
    columns_ = shape_.mask_strides[3] ? LongestKeys(shape_) : 1;
    to_ = dmask_, row_stride_ = shape_.mask_strides[2], column_stride_ = shape_.mask_strides[3];
    MakePartials(parts);
    for (int64_t part = 0; part < parts; ++part) {
      const Range mine{part * count / parts, (part + 1) * count / parts};
      const MaskGradient target{partials_.data() + part * partial_size_,
                                {0, 0, shape_.mask_strides[2] ? columns_ : 0, shape_.mask_strides[3] ? 1 : 0}};
      regions_.push_back(
          {by_sequence ? mine : Range{0, shape_.batch}, by_sequence ? Range{0, shape_.kv_heads} : mine, target});
    }
  }

  // A number for each head and distance, few enough that every run of sequences has its own.
  void SplitDistances() {
    constexpr int64_t kMaxParts = 8;
    const int64_t parts = std::min(shape_.batch, kMaxParts);
    rows_ = shape_.heads;
    columns_ = DistanceColumns(LongestQueries(shape_), LongestKeys(shape_));
    const int64_t origin = columns_ > 0 ? LongestQueries(shape_) - 1 : 0;
    to_ = dmask_ - origin, row_stride_ = shape_.mask_strides[1], column_stride_ = 1;
    MakePartials(parts);
    for (int64_t part = 0; part < parts; ++part) {
      const Range sequences{part * shape_.batch / parts, (part + 1) * shape_.batch / parts};
      const MaskGradient target{partials_.data() + part * partial_size_ + origin, {0, columns_, -1, 1}};
      for (int64_t h = 0; h < shape_.kv_heads; ++h) regions_.push_back({sequences, {h, h + 1}, target});
    }
  }

  void MakePartials(int64_t parts) {
    partial_size_ = rows_ * columns_;
    partials_ = Buffer<float>(parts * partial_size_);
    std::fill(partials_.begin(), partials_.end(), 0.0f);
  }

  const AttentionShape& shape_;
  float* dmask_;
  std::vector<Region> regions_;
  Buffer<float> partials_;
  int64_t rows_ = 0, columns_ = 0, partial_size_ = 0;
  float* to_ = nullptr;  // where the partial sums are added in the end: row r, column c at the sum of index * stride
  int64_t row_stride_ = 0, column_stride_ = 0;
};

}  // namespace attnkit::kernels::attention
