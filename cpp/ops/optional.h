// Tensors that may be undefined.
#pragma once

#include "attnkit/tensor.h"

namespace attnkit::ops {

inline float* DataOrNull(const Tensor& x) { return x ? x.data() : nullptr; }

}  // namespace attnkit::ops
