// Muon (Jordan et al., 2024; Liu et al., 2025). The matrices are small, so that each goes to one thread.
#include <algorithm>
#include <cmath>
#include <utility>

#include "attnkit/check.h"
#include "attnkit/kernels/elementwise.h"
#include "attnkit/kernels/gemm.h"
#include "attnkit/kernels/optimizer.h"
#include "attnkit/kernels/reduce.h"
#include "attnkit/threads.h"

namespace attnkit::kernels {
namespace {

constexpr int kRounds = 5;
// x <- x (kA + kB x'x + kC (x'x)²), of Jordan et al.: chosen so that small singular values grow soonest.
constexpr float kA = 3.4445f, kB = -4.7750f, kC = 2.0315f;
constexpr float kRms = 0.2f;  // of a step's numbers before the learning rate: about Adam's (Liu et al., section 2.2)

// Room for one matrix [rows, columns] and the polynomial in it, of the smaller side.
class Scratch {
 public:
  Scratch(int64_t rows, int64_t columns, Precision precision)
      : precision_(precision),
        rows_(rows),
        columns_(columns),
        side_(std::min(rows, columns)),
        next_(rows * columns),
        gram_(side_ * side_),
        polynomial_(side_ * side_) {}

  // A round, from and to `x`, which may point elsewhere afterwards.
  void Round(Buffer<float>& x) {
    const bool wide = rows_ <= columns_;
    const float* p = polynomial_.data();
    wide ? Multiply(x.data(), columns_, 1, x.data(), 1, columns_, rows_, rows_, columns_, gram_)
         : Multiply(x.data(), 1, columns_, x.data(), columns_, 1, columns_, columns_, rows_, gram_);
    Multiply(gram_.data(), side_, 1, gram_.data(), side_, 1, side_, side_, side_, polynomial_);
    for (int64_t i = 0; i < side_ * side_; ++i) polynomial_[i] = kB * gram_[i] + kC * polynomial_[i];
    for (int64_t i = 0; i < side_; ++i) polynomial_[i * side_ + i] += kA;
    wide ? Multiply(p, side_, 1, x.data(), columns_, 1, rows_, columns_, side_, next_)
         : Multiply(x.data(), columns_, 1, p, side_, 1, rows_, columns_, side_, next_);
    std::swap(x, next_);
  }

 private:
  void Multiply(const float* a, int64_t a_row, int64_t a_column, const float* b, int64_t b_row, int64_t b_column,
                int64_t m, int64_t n, int64_t k, Buffer<float>& c) const {
    MatMul(a, a_row, a_column, b, b_row, b_column, m, n, k, precision_, c.data(), n);
  }

  Precision precision_;
  int64_t rows_, columns_, side_;
  Buffer<float> next_, gram_, polynomial_;
};

void Orthogonalise(Buffer<float>& x, int64_t rows, int64_t columns, Precision precision) {
  const float inverse = 1.0f / (static_cast<float>(std::sqrt(SumOfSquares(x.data(), x.size()))) + 1e-7f);
  for (float& value : x) value *= inverse;
  Scratch scratch(rows, columns, precision);
  for (int round = 0; round < kRounds; ++round) scratch.Round(x);
}

void MoveMatrix(const MuonOptions& options, const MuonWeight& weight, int64_t index) {
  const int64_t size = weight.rows * weight.columns, first = index * size;
  const float* gradient = weight.gradient + first;
  float *parameter = weight.parameter + first, *momentum = weight.momentum + first;
  Buffer<float> direction(size);
  for (int64_t i = 0; i < size; ++i) {
    const float g = options.gradient_scale * gradient[i];
    momentum[i] = options.momentum * momentum[i] + g;
    direction[i] = g + options.momentum * momentum[i];
  }
  Orthogonalise(direction, weight.rows, weight.columns, options.precision);
  const float decay = 1.0f - options.learning_rate * options.weight_decay;
  const float rate =
      options.learning_rate * kRms * std::sqrt(static_cast<float>(std::max(weight.rows, weight.columns)));
  for (int64_t i = 0; i < size; ++i) parameter[i] = decay * parameter[i] - rate * direction[i];
}

}  // namespace

void MuonStep(const MuonOptions& options, const std::vector<MuonWeight>& weights) {
  std::vector<std::pair<const MuonWeight*, int64_t>> matrices;
  for (const MuonWeight& weight : weights)
    for (int64_t i = 0; i < weight.matrices; ++i) matrices.emplace_back(&weight, i);
  ParallelFor(static_cast<int64_t>(matrices.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) MoveMatrix(options, *matrices[i].first, matrices[i].second);
  });
}

void Orthogonalise(float* matrix, int64_t rows, int64_t columns, Precision precision) {
  Buffer<float> x(rows * columns);
  std::copy_n(matrix, x.size(), x.data());
  Orthogonalise(x, rows, columns, precision);
  std::copy_n(x.data(), x.size(), matrix);
}

}  // namespace attnkit::kernels
