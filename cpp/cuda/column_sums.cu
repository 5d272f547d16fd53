// ColumnSums of attnkit/kernels/rows.h on CUDA.
#include "cuda/column_sums.h"

#include "cuda/kernels.h"

namespace attnkit::cuda {
namespace {

struct AddStored {
  const float* x;
  int64_t row_stride;
  __device__ void operator()(int64_t row, int64_t column, float sums[1]) const {
    sums[0] += x[row * row_stride + column];
  }
};
struct WriteSum {
  float* out;
  bool accumulate;
  __device__ void operator()(int64_t column, const double sums[1]) const {
    const float sum = static_cast<float>(sums[0]);
    out[column] = accumulate ? out[column] + sum : sum;
  }
};

}  // namespace

void ColumnSums(const float* x, int64_t rows, int64_t columns, int64_t row_stride, bool accumulate, float* out) {
  SumColumns<1>(rows, columns, AddStored{x, row_stride}, WriteSum{out, accumulate});
}

}  // namespace attnkit::cuda
