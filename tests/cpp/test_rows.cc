// Softmax and the other kernels that go over rows, at widths that fill no vector.
#include "attnkit/kernels/rows.h"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "support.h"

namespace attnkit {
namespace {

using testing::kEpsilon;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<double> Softmax(const float* x, int64_t columns) {
  const double largest = *std::max_element(x, x + columns);
  std::vector<double> y;
  double sum = 0;
  for (int64_t c = 0; c < columns; ++c) sum += y.emplace_back(std::exp(x[c] - largest));
  for (double& number : y) number /= sum;
  return y;
}

TEST_CASE("softmax: the formula in float64, under each instruction set") {
  for (const Isa isa : SupportedIsas()) {
    const testing::IsaScope scope(isa);
    for (const int64_t columns : {1, 3, 16, 17, 63, 1000}) {
      CAPTURE(testing::Name(isa));
      CAPTURE(columns);
      const Tensor x = testing::Random({5, columns}, 1);
      Tensor y(x.shape());
      kernels::SoftmaxForward(x.data(), 5, columns, y.data());
      for (int64_t row = 0; row < 5; ++row) {
        const std::vector<double> expected = Softmax(x.data() + row * columns, columns);
        for (int64_t c = 0; c < columns; ++c) {
          REQUIRE(std::abs(y.data()[row * columns + c] - expected[c]) <= (columns + 16) * kEpsilon * expected[c]);
        }
      }
    }
  }
}

TEST_CASE("softmax: a row of minus infinity gives zeros") {
  const Tensor x = Tensor::Full({2, 7}, -kInfinity);
  x.data()[7] = 0.0f;
  Tensor y(x.shape());
  kernels::SoftmaxForward(x.data(), 2, 7, y.data());
  for (int64_t i = 0; i < y.size(); ++i) CHECK(y.data()[i] == (i == 7 ? 1.0f : 0.0f));
}

TEST_CASE("top k: largest first, ties to the lower index") {
  const std::vector<float> x{1, 5, 3, 5, -kInfinity, 2};
  std::array<float, 4> values;
  std::array<int32_t, 4> indices;
  for (const Isa isa : SupportedIsas()) {
    CAPTURE(testing::Name(isa));
    const testing::IsaScope scope(isa);
    kernels::TopK(x.data(), 1, 6, 4, values.data(), indices.data());
    CHECK(values == std::array<float, 4>{5, 5, 3, 2});
    CHECK(indices == std::array<int32_t, 4>{1, 3, 2, 5});
  }
}

TEST_CASE("rows: a label or an id outside its table is refused") {
  const Tensor x = testing::Random({2, 3}, 1);
  Tensor losses({2}), out({2, 3});
  for (const int32_t wrong : {3, -1}) {
    const std::array<int32_t, 2> ids{0, wrong};
    CHECK_THROWS_AS(kernels::CrossEntropy(x.data(), ids.data(), 2, 3, 0, -100, 1, losses.data(), nullptr, nullptr),
                    std::invalid_argument);
    CHECK_THROWS_AS(
        kernels::EmbeddingForward(ids.data(), 2, x.data(), 2, 3, 1, nullptr, nullptr, 0, 0, PhiloxKey{}, out.data()),
        std::invalid_argument);
  }
}

}  // namespace
}  // namespace attnkit
