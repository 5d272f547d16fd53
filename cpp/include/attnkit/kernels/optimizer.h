// Steps of optimizers over parameters in place.
#pragma once

#include <cstdint>
#include <vector>

#include "attnkit/kernels/gemm.h"
#include "attnkit/kernels/kernel.h"

namespace attnkit::kernels {

// Adam (Kingma & Ba, 2015) and AdamW (Loshchilov & Hutter, 2019) over one parameter; step counts from 1. The gradient
// is multiplied by gradient_scale first (clipping). decoupled: AdamW's weight decay, else L2 added to the gradient.
struct AdamOptions {
  float learning_rate = 1e-3f, beta1 = 0.9f, beta2 = 0.999f, eps = 1e-8f, weight_decay = 0.0f, gradient_scale = 1.0f;
  bool decoupled = true;
  int64_t step = 1;
};
void AdamStep(const AdamOptions& options, const float* gradient, int64_t size, float* parameter, float* moment1,
              float* moment2);

// One weight for Muon (Jordan et al., 2024): `matrices` of [rows, columns] on top of each other.
struct MuonWeight {
  const float* gradient;
  float *parameter, *momentum;
  int64_t matrices, rows, columns;
};

// m = momentum * m + g; w = (1 - learning_rate * weight_decay) * w - learning_rate * 0.2 * sqrt(max(rows, columns)) *
// Orthogonalise(g + momentum * m) for every matrix (Liu et al., 2025, eq. 4), where g = gradient_scale * gradient.
// precision: of the products that orthogonalise; Jordan et al. make them in bf16, all else stays float32.
struct MuonOptions {
  float learning_rate = 1e-3f, momentum = 0.95f, weight_decay = 0.0f, gradient_scale = 1.0f;
  Precision precision = Precision::kFloat32;
};
void MuonStep(const MuonOptions& options, const std::vector<MuonWeight>& weights);

// About U V' of matrix = U S V', [rows, columns], in place: every singular value that is not close to nothing ends
// between 0.7 and 1.2.
void Orthogonalise(float* matrix, int64_t rows, int64_t columns, Precision precision = Precision::kFloat32);

// Their slots in the table of a device.
struct OptimizerKernels : virtual Table {
  Kernel<kernels::AdamStep> AdamStep{"adam", *this};
  Kernel<kernels::MuonStep> MuonStep{"muon", *this};
};

}  // namespace attnkit::kernels
