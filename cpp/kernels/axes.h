// The axes of an array that is read at strides, as few as they can be.
#pragma once

#include <cstdint>
#include <vector>

namespace attnkit::kernels {

struct Axis {
  int64_t size, stride, out_stride;
};

// Without axes of one place, and with those joined that lie in x one within the other.
inline std::vector<Axis> JoinedAxes(const std::vector<int64_t>& strides, const std::vector<int64_t>& sizes) {
  std::vector<Axis> axes;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 1) continue;
    if (!axes.empty() && axes.back().stride == strides[i] * sizes[i]) {
      axes.back() = {axes.back().size * sizes[i], strides[i], 1};
    } else {
      axes.push_back({sizes[i], strides[i], 1});
    }
  }
  for (size_t i = axes.size(); i-- > 1;) axes[i - 1].out_stride = axes[i].out_stride * axes[i].size;
  return axes;
}

}  // namespace attnkit::kernels
