// The precision of matrix products, a choice of each thread.
#pragma once

#include "attnkit/kernels/gemm.h"

namespace attnkit {

// The precision of matrix products in this thread. int8 is for inference, and for products with a weight only.
kernels::Precision MatmulPrecision();
// Of a product with a weight, recorded or not. Throws std::invalid_argument for int8 where it is to be recorded.
kernels::Precision WeightPrecision(bool recorded);
// Of a product of two activations, and of convolutions: float32 where linear layers take int8.
kernels::Precision ActivationPrecision();
void SetMatmulPrecision(kernels::Precision precision);

}  // namespace attnkit
