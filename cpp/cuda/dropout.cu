// Dropout of attnkit/kernels/elementwise.h on CUDA (Srivastava et al., 2014).
#include "cuda/dropout.h"

#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/quads.h"

namespace attnkit::cuda {
namespace {

// out = residual + dropout(x) for the eight numbers that share a block of Philox; residual may be null.
struct DropoutBody {
  const float *residual, *x;
  DropoutRule rule;
  Quads quads;
  float* out;
  __device__ void operator()(int64_t block) const {
    float factors[8];
    rule.Factors(static_cast<uint64_t>(block), factors);
    for (int half = 0; half < 2; ++half) {
      const int64_t quad = 2 * block + half;
      float v[4], r[4];
      quads.Load(x, quad, v);
      if (residual) quads.Load(residual, quad, r);
      for (int j = 0; j < 4; ++j) {
        const float factor = factors[4 * half + j];
        v[j] = factor != 0.0f ? v[j] * factor : 0.0f;  // of infinity and NaN too
        if (residual) v[j] = __fadd_rn(v[j], r[j]);
      }
      quads.Store(v, quad, out);
    }
  }
};
}  // namespace

void Dropout(const float* x, int64_t size, float p, PhiloxKey key, float* out) {
  AddDropout(nullptr, x, size, p, key, out);
}

void AddDropout(const float* residual, const float* x, int64_t size, float p, PhiloxKey key, float* out) {
  const Quads quads(size, {residual, x, out});
  ForEach((size + 7) / 8, DropoutBody{residual, x, DropoutRule(p, key), quads, out});
}

}  // namespace attnkit::cuda
