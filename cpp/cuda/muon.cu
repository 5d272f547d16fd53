// Muon (Jordan et al., 2024; Liu et al., 2025) on CUDA: the matrices of a weight go through each elementwise step
// together, and through the products one after the other.
#include <cmath>
#include <utility>

#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"
#include "cuda/warp.h"

namespace attnkit::cuda {
namespace {

constexpr int kRounds = 5;
// x <- x (kA + kB x'x + kC (x'x)²), of Jordan et al.: chosen so that small singular values grow soonest.
constexpr float kA = 3.4445f, kB = -4.7750f, kC = 2.0315f;
constexpr float kRms = 0.2f;  // of a step's numbers before the learning rate: about Adam's (Liu et al., section 2.2)

// m = momentum * m + g, direction = g + momentum * m.
struct MomentumBody {
  float scale, momentum_factor;
  const float* gradient;
  float *momentum, *direction;
  __device__ void operator()(int64_t i) const {
    const float g = scale * gradient[i];
    const float m = momentum_factor * momentum[i] + g;
    momentum[i] = m;
    direction[i] = g + momentum_factor * m;
  }
};

struct MoveBody {
  float decay, rate;
  const float* direction;
  float* parameter;
  __device__ void operator()(int64_t i) const { parameter[i] = decay * parameter[i] - rate * direction[i]; }
};

// A block for a part of a matrix: its sum of squares. Parts of a matrix lie side by side.
constexpr int kThreads = 256;
constexpr int64_t kPart = 64 * kThreads;
__global__ void SquaresKernel(const float* x, int64_t size, int64_t parts, double* sums) {
  __shared__ double room[kWarp];
  const int64_t matrix = blockIdx.x / parts, first = blockIdx.x % parts * kPart;
  const int64_t end = first + kPart < size ? first + kPart : size;
  double sum = 0.0;
  for (int64_t i = first + threadIdx.x; i < end; i += kThreads) {
    const double number = x[matrix * size + i];
    sum += number * number;
  }
  sum = BlockSum(sum, room);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// A block for each matrix: what it is to be multiplied by.
__global__ void InverseNormKernel(const double* sums, int64_t parts, float* inverses) {
  __shared__ double room[kWarp];
  double sum = 0.0;
  for (int64_t i = threadIdx.x; i < parts; i += kThreads) sum += sums[blockIdx.x * parts + i];
  sum = BlockSum(sum, room);
  if (threadIdx.x == 0) inverses[blockIdx.x] = 1.0f / (static_cast<float>(sqrt(sum)) + 1e-7f);
}

struct NormaliseBody {
  int64_t size;
  const float* inverses;
  float* x;
  __device__ void operator()(int64_t i) const { x[i] *= inverses[i / size]; }
};

// polynomial = kA + kB gram + kC gram², of which it holds gram² before.
struct PolynomialBody {
  int64_t side;
  const float* gram;
  float* polynomial;
  __device__ void operator()(int64_t i) const {
    const int64_t at = i % (side * side);
    const float value = kB * gram[i] + kC * polynomial[i];
    polynomial[i] = at / side == at % side ? value + kA : value;
  }
};

// Of every matrix of `x`, into `next`; both are written to.
void Orthogonalise(int64_t matrices, int64_t rows, int64_t columns, kernels::Precision precision, float* x,
                   float* next) {
  const int64_t size = rows * columns, side = std::min(rows, columns), square = side * side;
  const int64_t parts = Blocks(size, kPart);
  const Scratch<double> sums(matrices * parts);
  const Scratch<float> inverses(matrices), gram(matrices * square), polynomial(matrices * square);
  Launch({dim3(static_cast<unsigned>(matrices * parts)), dim3(kThreads)}, SquaresKernel, x, size, parts, sums.data());
  Launch({dim3(static_cast<unsigned>(matrices)), dim3(kThreads)}, InverseNormKernel, sums.data(), parts,
         inverses.data());
  ForEach(matrices * size, NormaliseBody{size, inverses.data(), x});

  const bool wide = rows <= columns;
  const auto multiply = [&](const kernels::MatrixBatch& a, const kernels::MatrixBatch& b, int64_t m, int64_t n,
                            int64_t k, float* c) { cuda::MatMuls(matrices, a, b, m, n, k, precision, c); };
  const kernels::MatrixBatch grams{gram.data(), square, side, 1}, polynomials{polynomial.data(), square, side, 1};
  for (int round = 0; round < kRounds; ++round) {
    const kernels::MatrixBatch plain{x, size, columns, 1}, transposed{x, size, 1, columns};
    wide ? multiply(plain, transposed, rows, rows, columns, gram.data())
         : multiply(transposed, plain, columns, columns, rows, gram.data());
    multiply(grams, grams, side, side, side, polynomial.data());
    ForEach(matrices * square, PolynomialBody{side, gram.data(), polynomial.data()});
    wide ? multiply(polynomials, plain, rows, columns, side, next)
         : multiply(plain, polynomials, rows, columns, side, next);
    std::swap(x, next);
  }
  static_assert(kRounds % 2 == 1, "the result lies in `next` of the caller");
}

}  // namespace

void MuonStep(const kernels::MuonOptions& options, const std::vector<kernels::MuonWeight>& weights) {
  for (const kernels::MuonWeight& weight : weights) {
    const int64_t size = weight.matrices * weight.rows * weight.columns;
    if (size == 0) continue;
    const Scratch<float> direction(size), orthogonal(size);
    ForEach(size,
            MomentumBody{options.gradient_scale, options.momentum, weight.gradient, weight.momentum, direction.data()});
    Orthogonalise(weight.matrices, weight.rows, weight.columns, options.precision, direction.data(), orthogonal.data());
    const float decay = 1.0f - options.learning_rate * options.weight_decay;
    const float rate =
        options.learning_rate * kRms * std::sqrt(static_cast<float>(std::max(weight.rows, weight.columns)));
    ForEach(size, MoveBody{decay, rate, orthogonal.data(), weight.parameter});
  }
}

}  // namespace attnkit::cuda
