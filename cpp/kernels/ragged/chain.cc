// Marginals of a linear chain of binary variables, by forward-backward in log space, and their gradient.
//
// The marginals p are the gradient of log Z with respect to the scores, so that their Jacobian is symmetric: the
// gradient of sum_j g_j p_j with respect to score k is the derivative of p_k when the scores move along g. Backward
// runs the same recursions on numbers that carry such a derivative.
#include <algorithm>
#include <cmath>
#include <vector>

#include "attnkit/allocator.h"
#include "attnkit/kernels/ragged.h"
#include "kernels/ragged/walk.h"

namespace attnkit::kernels {
namespace {

// A number and its derivative along a direction.
struct Dual {
  double value = 0.0, slope = 0.0;
};
Dual operator+(Dual a, Dual b) { return {a.value + b.value, a.slope + b.slope}; }
Dual operator-(Dual a, Dual b) { return {a.value - b.value, a.slope - b.slope}; }

double LogAddExp(double a, double b) { return std::max(a, b) + std::log1p(std::exp(-std::abs(a - b))); }
Dual LogAddExp(Dual a, Dual b) {
  const double share = 1.0 / (1.0 + std::exp(b.value - a.value));
  return {LogAddExp(a.value, b.value), share * a.slope + (1.0 - share) * b.slope};
}
double Exp(double x) { return std::exp(x); }
Dual Exp(Dual x) {
  const double e = std::exp(x.value);
  return {e, e * x.slope};
}

// The chain of one row: scores [keys], transitions [2][2].
template <typename Number>
class Chain {
 public:
  explicit Chain(const float* transitions) {
    for (int a = 0; a < 2; ++a) {
      for (int b = 0; b < 2; ++b) transition_[a][b] = Constant(transitions[2 * a + b]);
    }
  }

  // Fills the messages from both ends; then the marginals can be asked for.
  void Run(const std::vector<Number>& scores) {
    const int64_t keys = static_cast<int64_t>(scores.size());
    scores_ = &scores;
    before_.assign(2 * keys, Number{});
    after_.assign(2 * keys, Number{});
    before_[1] = scores[0];
    for (int64_t j = 1; j < keys; ++j) {
      for (int b = 0; b < 2; ++b) {
        before_[2 * j + b] =
            Score(j, b) + LogAddExp(before_[2 * j - 2] + transition_[0][b], before_[2 * j - 1] + transition_[1][b]);
      }
    }
    for (int64_t j = keys - 2; j >= 0; --j) {
      for (int a = 0; a < 2; ++a) {
        after_[2 * j + a] = LogAddExp(transition_[a][0] + Score(j + 1, 0) + after_[2 * j + 2],
                                      transition_[a][1] + Score(j + 1, 1) + after_[2 * j + 3]);
      }
    }
    log_z_ = LogAddExp(before_[2 * keys - 2], before_[2 * keys - 1]);
  }

  // p(z_j = 1), against p(z_j = 0): of log Z, which is rounded otherwise, it could come out above one.
  Number Marginal(int64_t j) const {
    const Number zero = before_[2 * j] + after_[2 * j], one = before_[2 * j + 1] + after_[2 * j + 1];
    return Exp(one - LogAddExp(zero, one));
  }
  // p(z_j = a, z_{j + 1} = b)
  Number Pair(int64_t j, int a, int b) const {
    return Exp(before_[2 * j + a] + transition_[a][b] + Score(j + 1, b) + after_[2 * j + 2 + b] - log_z_);
  }

 private:
  static double Constant(double x, double) { return x; }
  static Dual Constant(double x, Dual) { return {x, 0.0}; }
  static Number Constant(double x) { return Constant(x, Number{}); }
  Number Score(int64_t j, int z) const { return z ? (*scores_)[j] : Number{}; }

  Number transition_[2][2];
  const std::vector<Number>* scores_ = nullptr;
  std::vector<Number> before_, after_;  // log of the sums over what lies before j (its own score counted) and after
  Number log_z_{};
};

// An exponential and a logarithm for each message.
constexpr int64_t kChainCost = 64;

}  // namespace

void RaggedChainMarginals(const RaggedShape& shape, const float* scores, const float* transitions, float* out) {
  ParallelQueries(shape, kChainCost, [&](int64_t begin, int64_t end) {
    Chain<double> chain(transitions);
    std::vector<double> row;
    for (PairWalk q(shape, begin, end); q; q.Next()) {
      row.assign(scores + q.pairs, scores + q.pairs + q.keys);
      chain.Run(row);
      for (int64_t j = 0; j < q.keys; ++j) out[q.pairs + j] = static_cast<float>(chain.Marginal(j));
    }
  });
}

void RaggedChainBackward(const RaggedShape& shape, const float* scores, const float* transitions, const float* dout,
                         float* dscores, float* dtransitions) {
  const int64_t grain = RaggedGrain(shape, shape.queries(), 2 * kChainCost);
  Buffer<double> partial(4 * ((shape.queries() + grain - 1) / grain));
  ParallelFor(shape.queries(), grain, [&](int64_t begin, int64_t end) {
    Chain<Dual> chain(transitions);
    std::vector<Dual> row;
    double* sums = partial.data() + 4 * (begin / grain);
    std::fill(sums, sums + 4, 0.0);
    for (PairWalk q(shape, begin, end); q; q.Next()) {
      row.resize(q.keys);
      for (int64_t j = 0; j < q.keys; ++j) row[j] = {scores[q.pairs + j], dout[q.pairs + j]};
      chain.Run(row);
      for (int64_t j = 0; j < q.keys; ++j) dscores[q.pairs + j] = static_cast<float>(chain.Marginal(j).slope);
      for (int64_t j = 0; j + 1 < q.keys; ++j) {
        for (int ab = 0; ab < 4; ++ab) sums[ab] += chain.Pair(j, ab / 2, ab % 2).slope;
      }
    }
  });
  double total[4] = {};
  for (int64_t i = 0; i < partial.size(); ++i) total[i % 4] += partial[i];
  for (int ab = 0; ab < 4; ++ab) dtransitions[ab] = static_cast<float>(total[ab]);
}

}  // namespace attnkit::kernels
