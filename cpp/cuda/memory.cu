// attnkit/kernels/memory.h on CUDA.
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"

namespace attnkit::cuda {
namespace {

struct FillBody {
  float value;
  float* out;
  __device__ void operator()(int64_t i) const { out[i] = value; }
};
}  // namespace

void Fill(float value, int64_t size, float* out) { ForEach(size, FillBody{value, out}); }

}  // namespace attnkit::cuda
