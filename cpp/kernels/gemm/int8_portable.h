// Vectors of the int8 kernels in plain C++, which compilers turn into what the baseline of a machine has.
#pragma once

#include <cstring>

#include "kernels/gemm/int8.h"

namespace attnkit::kernels::gemm {

struct PortableOps {
  static constexpr int kLanes = 4, kRows = 4, kVectors = 2, kWordUnit = 4, kWordBytes = 4;
  struct Vector {
    int32_t lane[kLanes];
  };
  struct Word {
    int8_t byte[4];
  };

  static Vector Zero() { return {}; }
  static Vector Load(const void* from) {
    Vector v;
    std::memcpy(&v, from, sizeof(v));
    return v;
  }
  static Vector LoadWords(const int8_t* from) { return Load(from); }
  static Vector Add(Vector a, const Vector& b) {
    for (int i = 0; i < kLanes; ++i) a.lane[i] += b.lane[i];
    return a;
  }
  static Word Broadcast(const int8_t* from) {
    Word word;
    std::memcpy(&word, from, sizeof(word));
    return word;
  }
  static Vector MulAdd(const Word& a, const Vector& b, Vector sum) {
    int8_t bytes[4 * kLanes];
    std::memcpy(bytes, &b, sizeof(bytes));
    for (int i = 0; i < kLanes; ++i) {
      for (int k = 0; k < 4; ++k) sum.lane[i] += a.byte[k] * bytes[4 * i + k];
    }
    return sum;
  }

  struct Column {
    float scale[kLanes], bias[kLanes] = {};

    Column(const Int8Call& call, int64_t first, int64_t count) {
      std::memcpy(scale, call.column_scales + first, sizeof(scale));
      if (call.bias) std::memcpy(bias, call.bias + first, std::min<int64_t>(count, kLanes) * sizeof(float));
      for (int i = 0; call.shifts && i < kLanes; ++i) bias[i] = call.shifts[first + i] + bias[i];
    }
    void Store(const Vector& sum, float row_scale, float* to, int64_t count) const {
      for (int i = 0; i < std::min<int64_t>(count, kLanes); ++i) {
        to[i] = static_cast<float>(sum.lane[i]) * (row_scale * scale[i]) + bias[i];
      }
    }
  };
};

}  // namespace attnkit::kernels::gemm
