// Marginals of a linear chain of binary variables on CUDA, by forward-backward in log space, and their gradient.
//
// The marginals p are the gradient of log Z with respect to the scores, so that their Jacobian is symmetric: the
// gradient of sum_j g_j p_j with respect to score k is the derivative of p_k when the scores move along g. Backward
// runs the same recursions on numbers that carry such a derivative. A row is a thread's, in double: many short rows
// fill the device. The messages from the front are kept, those from the back meet them on their way.
#include "cuda/kernels.h"
#include "cuda/ragged.h"
#include "cuda/warp.h"

namespace attnkit::cuda {
namespace {

using kernels::RaggedShape;

// A number and its derivative along a direction.
struct Dual {
  double value, slope;
};
__device__ Dual operator+(Dual a, Dual b) { return {a.value + b.value, a.slope + b.slope}; }
__device__ Dual operator-(Dual a, Dual b) { return {a.value - b.value, a.slope - b.slope}; }

__device__ double LogAddExp(double a, double b) { return (a < b ? b : a) + log1p(exp(-fabs(a - b))); }
__device__ Dual LogAddExp(Dual a, Dual b) {
  const double share = 1.0 / (1.0 + exp(b.value - a.value));
  return {LogAddExp(a.value, b.value), share * a.slope + (1.0 - share) * b.slope};
}
__device__ double Exp(double x) { return exp(x); }
__device__ Dual Exp(Dual x) {
  const double e = exp(x.value);
  return {e, e * x.slope};
}

// The scores of a row, as the numbers of its chain.
struct Plain {
  using Number = double;
  const float* scores;
  __device__ double Constant(float x) const { return x; }
  __device__ double operator()(int64_t at) const { return scores[at]; }
};
struct Moving {
  using Number = Dual;
  const float *scores, *directions;
  __device__ Dual Constant(float x) const { return {x, 0.0}; }
  __device__ Dual operator()(int64_t at) const { return {scores[at], directions[at]}; }
};

// The two messages at a key: log of the sums over what lies on one side, for z = 0 and 1.
template <typename Number>
struct Messages {
  Number zero, one;
};

// Calls use.Marginal(j, p(z_j = 1)) and use.Pair(ab, p(z_j = a, z_{j + 1} = b)) from the last key of a row to the
// first. before [keys]: room.
template <typename Scores, typename Use>
__device__ void RunChain(const Scores& score, const float* transitions, int64_t keys,
                         Messages<typename Scores::Number>* before, Use& use) {
  using Number = typename Scores::Number;
  const Number t00 = score.Constant(transitions[0]), t01 = score.Constant(transitions[1]);
  const Number t10 = score.Constant(transitions[2]), t11 = score.Constant(transitions[3]);
  Messages<Number> front{score.Constant(0.0f), score(0)};  // the key's own score counted
  before[0] = front;
  for (int64_t j = 1; j < keys; ++j) {
    front = {LogAddExp(front.zero + t00, front.one + t10), score(j) + LogAddExp(front.zero + t01, front.one + t11)};
    before[j] = front;
  }
  const Number log_z = LogAddExp(front.zero, front.one);
  Messages<Number> after{score.Constant(0.0f), score.Constant(0.0f)};
  for (int64_t j = keys - 1; j >= 0; --j) {
    // Against p(z_j = 0): of log Z, which is rounded otherwise, it could come out above one.
    const Number zero = before[j].zero + after.zero, one = before[j].one + after.one;
    use.Marginal(j, Exp(one - LogAddExp(zero, one)));
    if (j == 0) break;
    const Number to_zero = after.zero, to_one = score(j) + after.one;
    const Messages<Number> left = before[j - 1];
    use.Pair(0, left.zero + t00 + to_zero - log_z);
    use.Pair(1, left.zero + t01 + to_one - log_z);
    use.Pair(2, left.one + t10 + to_zero - log_z);
    use.Pair(3, left.one + t11 + to_one - log_z);
    after = {LogAddExp(t00 + to_zero, t01 + to_one), LogAddExp(t10 + to_zero, t11 + to_one)};
  }
}

struct WriteMarginals {
  float* out;
  __device__ void Marginal(int64_t j, double p) { out[j] = static_cast<float>(p); }
  __device__ void Pair(int, double) {}
};
struct WriteSlopes {
  float* out;
  double sums[4];  // of the transitions
  __device__ void Marginal(int64_t j, Dual p) { out[j] = static_cast<float>(p.slope); }
  __device__ void Pair(int ab, Dual log_p) { sums[ab] += Exp(log_p).slope; }
};

constexpr int kThreads = 64;

__global__ void MarginalsKernel(RaggedTiles rows, const float* scores, const float* transitions,
                                Messages<double>* before, float* out) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= rows.count) return;
  const RaggedTile tile = rows.At(index);
  const int64_t pairs = tile.pairs + int64_t{tile.row} * tile.keys;
  WriteMarginals use{out + pairs};
  RunChain(Plain{scores + pairs}, transitions, tile.keys, before + pairs, use);
}

// sums [rows, 4]
__global__ void SlopesKernel(RaggedTiles rows, const float* scores, const float* transitions, const float* dout,
                             Messages<Dual>* before, float* dscores, double* sums) {
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (index >= rows.count) return;
  const RaggedTile tile = rows.At(index);
  const int64_t pairs = tile.pairs + int64_t{tile.row} * tile.keys;
  WriteSlopes use{dscores + pairs, {}};
  RunChain(Moving{scores + pairs, dout + pairs}, transitions, tile.keys, before + pairs, use);
  for (int ab = 0; ab < 4; ++ab) sums[4 * index + ab] = use.sums[ab];
}

// One block for each transition.
__global__ void TransitionsKernel(const double* sums, int64_t rows, float* dtransitions) {
  __shared__ double room[kWarp];
  double sum = 0.0;
  for (int64_t row = threadIdx.x; row < rows; row += blockDim.x) sum += sums[4 * row + blockIdx.x];
  sum = BlockSum(sum, room);
  if (threadIdx.x == 0) dtransitions[blockIdx.x] = static_cast<float>(sum);
}

}  // namespace

void RaggedChainMarginals(const RaggedShape& shape, const float* scores, const float* transitions, float* out) {
  const UploadedTiles rows(shape, {});
  const Scratch<Messages<double>> before(shape.pairs());
  Launch({dim3(Blocks(rows.count(), kThreads)), dim3(kThreads)}, MarginalsKernel, rows.tiles(), scores, transitions,
         before.data(), out);
}

void RaggedChainBackward(const RaggedShape& shape, const float* scores, const float* transitions, const float* dout,
                         float* dscores, float* dtransitions) {
  const UploadedTiles rows(shape, {});
  const Scratch<Messages<Dual>> before(shape.pairs());
  const Scratch<double> sums(4 * rows.count());
  Launch({dim3(Blocks(rows.count(), kThreads)), dim3(kThreads)}, SlopesKernel, rows.tiles(), scores, transitions, dout,
         before.data(), dscores, sums.data());
  Launch({dim3(4), dim3(256)}, TransitionsKernel, sums.data(), rows.count(), dtransitions);
}

}  // namespace attnkit::cuda
