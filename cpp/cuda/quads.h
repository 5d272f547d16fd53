// Numbers of flat arrays by four: a thread moves 16 bytes an instruction, which is what fills the memory's width.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "cuda/launch.h"

namespace attnkit::cuda {

class Quads {
 public:
  // `size` numbers of each of the arrays. Those that begin within 16 bytes, as views may, are read number by number.
  Quads(int64_t size, std::initializer_list<const void*> arrays) : size_(size), aligned_(true) {
    for (const void* array : arrays) aligned_ = aligned_ && reinterpret_cast<uintptr_t>(array) % sizeof(float4) == 0;
  }

  int64_t count() const { return (size_ + 3) / 4; }

  // 0 behind the end.
  __device__ void Load(const float* x, int64_t quad, float v[4]) const {
    if (Whole(quad)) {
      const float4 all = reinterpret_cast<const float4*>(x)[quad];
      v[0] = all.x, v[1] = all.y, v[2] = all.z, v[3] = all.w;
    } else {
      for (int j = 0; j < 4; ++j) v[j] = 4 * quad + j < size_ ? x[4 * quad + j] : 0.0f;
    }
  }
  __device__ void Store(const float v[4], int64_t quad, float* out) const {
    if (Whole(quad)) {
      reinterpret_cast<float4*>(out)[quad] = float4{v[0], v[1], v[2], v[3]};
    } else {
      for (int j = 0; j < 4; ++j) {
        if (4 * quad + j < size_) out[4 * quad + j] = v[j];
      }
    }
  }
  // How many numbers of it there are.
  __device__ int Filled(int64_t quad) const { return size_ - 4 * quad < 4 ? static_cast<int>(size_ - 4 * quad) : 4; }

 private:
  __device__ bool Whole(int64_t quad) const { return aligned_ && 4 * quad + 4 <= size_; }

  int64_t size_;
  bool aligned_;
};

}  // namespace attnkit::cuda
