// Functions of numbers over flat arrays.
#pragma once

#include <cstdint>

#include "cuda/quads.h"

namespace attnkit::cuda {

template <typename Function>
struct MapBody {
  const float* x;
  Function function;
  Quads quads;
  float* out;
  __device__ void operator()(int64_t quad) const {
    float v[4];
    quads.Load(x, quad, v);
    for (int j = 0; j < 4; ++j) v[j] = function(v[j]);
    quads.Store(v, quad, out);
  }
};

template <typename Function>
struct MapBody2 {
  const float *x, *y;
  Function function;
  Quads quads;
  float* out;
  __device__ void operator()(int64_t quad) const {
    float v[4], w[4];
    quads.Load(x, quad, v);
    quads.Load(y, quad, w);
    for (int j = 0; j < 4; ++j) v[j] = function(v[j], w[j]);
    quads.Store(v, quad, out);
  }
};

// out[i] = function(x[i]); out may be x.
template <typename Function>
void Map(const float* x, int64_t size, Function function, float* out) {
  const Quads quads(size, {x, out});
  ForEach(quads.count(), MapBody<Function>{x, function, quads, out});
}

// out[i] = function(x[i], y[i]); out may be either.
template <typename Function>
void Map(const float* x, const float* y, int64_t size, Function function, float* out) {
  const Quads quads(size, {x, y, out});
  ForEach(quads.count(), MapBody2<Function>{x, y, function, quads, out});
}

}  // namespace attnkit::cuda
