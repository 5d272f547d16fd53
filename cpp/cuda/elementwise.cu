// attnkit/kernels/elementwise.h on CUDA.
#include "cuda/dropout.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"

namespace attnkit::cuda {
namespace {

struct AddBody {
  const float *x, *y;
  float* out;
  __device__ void operator()(int64_t i) const { out[i] = x[i] + y[i]; }
};
}  // namespace

void Add(const float* x, const float* y, int64_t size, float* out) { ForEach(size, AddBody{x, y, out}); }

}  // namespace attnkit::cuda
