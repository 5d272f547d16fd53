// The product of tiles by tensor cores: C = epilogue(A · B), A and B rounded to bf16, sums in float32.
#pragma once

#include "cuda/product.h"

namespace attnkit::cuda {

// The matrices of a batch in one launch. Every number of C is one chain of products of fragments in rising order of
// depth, whatever the tile that it falls into: a row's result does not depend on the rows beside it, nor on the batch.
// Only where the device HasTensorCores.
void TensorProduct(const RoundedView& a, const RoundedView& b, int64_t m, int64_t n, int64_t depth,
                   const FloatEpilogue& finisher, const ProductBatch& batch = {});
void TensorProduct(const RoundedView& a, const WidenedView& b, int64_t m, int64_t n, int64_t depth,
                   const FloatEpilogue& finisher, const ProductBatch& batch = {});

}  // namespace attnkit::cuda
