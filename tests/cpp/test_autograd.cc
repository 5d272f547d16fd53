// The tape: gradients of a small graph, what is freed when, and what is refused.
#include "attnkit/autograd.h"

#include <stdexcept>

#include "attnkit/allocator.h"
#include "attnkit/precision.h"
#include "attnkit/random.h"
#include "support.h"

namespace attnkit {
namespace {

using testing::kEpsilon;
using testing::MessageOf;

// loss = sum of c * tanh(x w^T + b), and the float64 gradient of b[j] and w[j, l].
struct Layer {
  static constexpr int64_t kRows = 11, kIn = 7, kOut = 5;
  Tensor x = testing::Random({kRows, kIn}, 1), c = testing::Random({kRows, kOut}, 2);
  Tensor w = testing::Random({kOut, kIn}, 3, true), b = testing::Random({kOut}, 4, true);

  Tensor Loss() const { return ops::SumAll(ops::Multiply(ops::Linear(x, w, b, kernels::Activation::kTanh), c)); }
  double AtPreActivation(int64_t row, int64_t j) const {
    double sum = b.data()[j];
    for (int64_t l = 0; l < kIn; ++l) sum += double{x.data()[row * kIn + l]} * w.data()[j * kIn + l];
    const double y = std::tanh(sum);
    return c.data()[row * kOut + j] * (1 - y * y);
  }
};

TEST_CASE("tape: gradients of a layer are those of its formula") {
  const Layer layer;
  Backward(layer.Loss(), Tensor());
  constexpr double kBound = 200 * kEpsilon;  // sums of 11 products of numbers of about 1
  for (int64_t j = 0; j < Layer::kOut; ++j) {
    double db = 0;
    for (int64_t row = 0; row < Layer::kRows; ++row) db += layer.AtPreActivation(row, j);
    CHECK(std::abs(layer.b.grad().data()[j] - db) <= kBound);
    for (int64_t l = 0; l < Layer::kIn; ++l) {
      double dw = 0;
      for (int64_t row = 0; row < Layer::kRows; ++row)
        dw += layer.AtPreActivation(row, j) * layer.x.data()[row * Layer::kIn + l];
      CHECK(std::abs(layer.w.grad().data()[j * Layer::kIn + l] - dw) <= kBound);
    }
  }
  CHECK(!layer.x.grad());
}

TEST_CASE("tape: a tensor that is used twice gets both gradients, and a second backward adds") {
  const Tensor x = testing::Random({40}, 1, true);
  for (int times = 1; times <= 2; ++times) {
    Backward(ops::SumAll(ops::Add(ops::Multiply(x, x), x)), Tensor());
    for (int64_t i = 0; i < x.size(); ++i) {
      CHECK(x.grad().data()[i] == doctest::Approx(times * (2.0 * x.data()[i] + 1)).epsilon(4 * kEpsilon));
    }
  }
}

TEST_CASE("tape: nothing is recorded without gradients") {
  const Tensor x = testing::Random({4}, 1, true);
  {
    const NoGrad no_grad;
    CHECK(!ops::Add(x, x).requires_grad());
  }
  CHECK(ops::Add(x, x).requires_grad());
  CHECK(!ops::Add(x.Detach(), x.Detach()).requires_grad());
}

TEST_CASE("tape: a graph is freed by backward, and when it is dropped") {
  const Tensor x = testing::Random({1000}, 1, true);
  x.storage().Touch();
  const int64_t before = GetAllocatorStats().bytes_in_use;
  { const Tensor dropped = ops::Apply(kernels::Unary::kExp, ops::Apply(kernels::Unary::kTanh, x)); }
  CHECK(GetAllocatorStats().bytes_in_use == before);
  Backward(ops::SumAll(ops::Apply(kernels::Unary::kTanh, x)), Tensor());
  Tensor(x).set_grad(Tensor());
  CHECK(GetAllocatorStats().bytes_in_use == before);
}

TEST_CASE("tape: numbers that no backward reads are free while the graph lives") {
  constexpr int64_t kRows = 200, kOut = 50;
  const Tensor w = testing::Random({kOut, 40}, 1, true), x = testing::Random({kRows, 40}, 2);
  const Tensor residual = testing::Random({kRows, kOut}, 3);
  // The gradient of w, and how much waits for backward.
  const auto run = [&](bool hold) {
    ManualSeed(1);
    const int64_t before = GetAllocatorStats().bytes_in_use;
    Tensor hidden = ops::Linear(x, w, Tensor(), kernels::Activation::kNone);
    const Tensor out =
        ops::AddDropout(residual, hidden, 0.5f);  // whose backward makes the mask again, and reads nothing
    if (!hold) hidden = Tensor();
    const int64_t waiting = GetAllocatorStats().bytes_in_use - before;
    Backward(ops::SumAll(ops::Multiply(out, residual)), Tensor());
    const Tensor gradient = w.grad();
    Tensor(w).set_grad(Tensor());
    return std::pair(gradient, waiting);
  };
  run(true);  // w is packed
  const auto [expected, with_hidden] = run(true);
  const auto [gradient, without] = run(false);
  CHECK(with_hidden - without >= kRows * kOut * static_cast<int64_t>(sizeof(float)));
  CHECK(testing::SameBytes(gradient, expected));
}

TEST_CASE("tape: a long chain is taken apart without recursion") {
  const Tensor x = Tensor::Full({1}, 1.0f);
  Tensor(x).set_requires_grad(true);
  const auto chain = [&x] {
    Tensor y = x;
    for (int i = 0; i < 200000; ++i) y = ops::ScaleShift(y, 1.0f, 0.0f);
    return y;
  };
  chain();  // dropped
  Backward(ops::SumAll(chain()), Tensor());
  CHECK(x.grad().data()[0] == 1.0f);
}

TEST_CASE("tape: misuse is refused") {
  const Tensor x = testing::Random({3}, 1, true);
  CHECK(MessageOf([&] { Backward(x.Detach(), Tensor()); }).find("[backward] expected a tensor computed from") == 0);
  CHECK(MessageOf([&] { Backward(ops::Add(x, x), Tensor()); }) ==
        "[backward] expected a scalar, or a gradient of shape [3]");
  CHECK_THROWS_AS(Backward(ops::Add(x, x), Tensor::Zeros({2})), std::invalid_argument);

  const Tensor loss = ops::SumAll(ops::Multiply(x, x));
  Backward(loss, Tensor());
  CHECK_THROWS_AS(Backward(loss, Tensor()), std::runtime_error);  // its saved values are gone
  CHECK_THROWS_AS(Tensor(loss).set_requires_grad(false), std::invalid_argument);
  CHECK_THROWS_AS(Tensor(x).set_grad(Tensor::Zeros({4})), std::invalid_argument);

  SetMatmulPrecision(kernels::Precision::kInt8);
  const Tensor w = testing::Random({2, 3}, 2, true);
  CHECK_THROWS_AS(ops::Linear(x, w, Tensor(), kernels::Activation::kNone), std::invalid_argument);
  SetMatmulPrecision(kernels::Precision::kFloat32);
}

TEST_CASE("tape: an error in a backward function leaves it, and the next backward runs") {
  const Tensor x = testing::Random({3}, 1, true);
  Tensor y = x.Clone();
  Record("fails", {x}, {&y}, [](std::vector<Tensor>&) -> std::vector<Tensor> { throw std::runtime_error("no"); });
  CHECK(MessageOf([&] { Backward(ops::SumAll(y), Tensor()); }) == "no");
  CHECK(!x.grad());
  Backward(ops::SumAll(x), Tensor());
  CHECK(x.grad().data()[2] == 1.0f);
}

}  // namespace
}  // namespace attnkit
