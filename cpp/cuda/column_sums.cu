// ColumnSums of attnkit/kernels/rows.h on CUDA.
#include "cuda/column_sums.h"

#include "cuda/kernels.h"

namespace attnkit::cuda {
namespace {

struct StoreSum {
  float* out;
  bool accumulate;
  __device__ void operator()(int64_t, int64_t c, float sum) const { out[c] = accumulate ? out[c] + sum : sum; }
};
}  // namespace

void ColumnSums(const float* x, int64_t rows, int64_t columns, int64_t row_stride, bool accumulate, float* out) {
  SumColumns(rows, columns, StoredTerm{x, row_stride}, StoreSum{out, accumulate});
}

}  // namespace attnkit::cuda
