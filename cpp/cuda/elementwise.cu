// Arithmetic of attnkit/kernels/elementwise.h on CUDA; unary.cu and dropout.cu have the rest.
#include "cuda/for_rows.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/map.h"

namespace attnkit::cuda {
namespace {

struct PlusOf {
  __device__ float operator()(float x, float y) const { return x + y; }
};
struct MinusOf {
  __device__ float operator()(float x, float y) const { return x - y; }
};
struct TimesOf {
  __device__ float operator()(float x, float y) const { return x * y; }
};
struct OverOf {
  __device__ float operator()(float x, float y) const { return x / y; }
};

struct AxpyOf {
  float a;
  __device__ float operator()(float x, float y) const { return fmaf(a, x, y); }
};

struct ScaleOf {
  float a, b;
  __device__ float operator()(float x) const { return fmaf(a, x, b); }
};

struct ScaleByBody {
  const float *x, *a;
  Quads quads;
  float* out;
  __device__ void operator()(int64_t quad) const {
    const float scale = *a;
    if (scale == 1.0f && x == out) return;  // gradients that need no clipping: nothing is read but that
    float v[4];
    quads.Load(x, quad, v);
    for (int j = 0; j < 4; ++j) v[j] = fmaf(scale, v[j], 0.0f);
    quads.Store(v, quad, out);
  }
};

struct ScaleRowsBody {
  const float *x, *a;
  int64_t columns;
  float* out;
  __device__ void operator()(int64_t r, int64_t c) const {
    out[r * columns + c] = fmaf(a[r], x[r * columns + c], 0.0f);
  }
};
}  // namespace

void Add(const float* x, const float* y, int64_t size, float* out) { Map(x, y, size, PlusOf(), out); }

void Subtract(const float* x, const float* y, int64_t size, float* out) { Map(x, y, size, MinusOf(), out); }

void Multiply(const float* x, const float* y, int64_t size, float* out) { Map(x, y, size, TimesOf(), out); }

void Divide(const float* x, const float* y, int64_t size, float* out) { Map(x, y, size, OverOf(), out); }

void Axpy(float a, const float* x, int64_t size, float* y) { Map(x, y, size, AxpyOf{a}, y); }

void Scale(const float* x, float a, float b, int64_t size, float* out) { Map(x, size, ScaleOf{a, b}, out); }

void ScaleBy(const float* x, const float* a, int64_t size, float* out) {
  const Quads quads(size, {x, out});
  ForEach(quads.count(), ScaleByBody{x, a, quads, out});
}

void ScaleRows(const float* x, const float* a, int64_t rows, int64_t columns, float* out) {
  ForRows(rows, columns, ScaleRowsBody{x, a, columns, out});
}

}  // namespace attnkit::cuda
