// The matrix product against the plain sum in float64, at sizes that fill no tile.
#include "attnkit/kernels/gemm.h"

#include <algorithm>
#include <stdexcept>

#include "support.h"

namespace attnkit {
namespace {

using kernels::Precision;
using testing::kEpsilon;

struct Size {
  int64_t m, n, k;
};
constexpr Size kSizes[] = {{1, 1, 1}, {1, 17, 33}, {7, 5, 3}, {9, 49, 65}, {33, 100, 31}, {65, 129, 257}, {3, 4, 0}};

// The largest error that rounding explains in number (i, j) of the product.
double Bound(Precision precision, const Tensor& a, const Tensor& b, int64_t i, int64_t j) {
  const int64_t k = a.dim(1), n = b.dim(1);
  double magnitude = 0, sum_a = 0, sum_b = 0, largest_a = 0, largest_b = 0;
  for (int64_t l = 0; l < k; ++l) {
    const double x = std::abs(a.data()[i * k + l]), y = std::abs(b.data()[l * n + j]);
    magnitude += x * y, sum_a += x, sum_b += y;
    largest_a = std::max(largest_a, x), largest_b = std::max(largest_b, y);
  }
  const double accumulation = (k + 8) * kEpsilon * magnitude;
  switch (precision) {
    case Precision::kFloat32: return accumulation;
    case Precision::kBFloat16: return accumulation + (0x1p-8 + 0x1p-17) * magnitude;  // both inputs are rounded
    case Precision::kInt8: {
      const double half_a = largest_a / 127 / 2, half_b = largest_b / 127 / 2;  // half a step of each scale
      return 2 * accumulation + 1.01 * (half_a * sum_b + half_b * sum_a + k * half_a * half_b);
    }
  }
  return 0;
}

// c = times * (a b + bias), where bias may be undefined.
void CheckProduct(Precision precision, const Tensor& a, const Tensor& b, const Tensor& c, const Tensor& bias = {},
                  int times = 1) {
  const int64_t m = a.dim(0), n = b.dim(1), k = a.dim(1);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double expected = bias ? bias.data()[j] : 0.0;
      const double bound = Bound(precision, a, b, i, j) + (k + 8) * kEpsilon * std::abs(expected);
      for (int64_t l = 0; l < k; ++l) expected += double{a.data()[i * k + l]} * b.data()[l * n + j];
      CAPTURE(i);
      CAPTURE(j);
      REQUIRE(std::abs(c.data()[i * n + j] - times * expected) <= times * bound);
    }
  }
}

TEST_CASE("gemm: the sum in float64, in each precision under each instruction set") {
  for (const Isa isa : SupportedIsas()) {
    const testing::IsaScope scope(isa);
    for (const Precision precision : {Precision::kFloat32, Precision::kBFloat16, Precision::kInt8}) {
      for (const auto [m, n, k] : kSizes) {
        CAPTURE(testing::Name(isa));
        CAPTURE(static_cast<int>(precision));
        CAPTURE(m);
        CAPTURE(n);
        CAPTURE(k);
        const Tensor a = testing::Random({m, k}, 1), b = testing::Random({k, n}, 2);
        Tensor c({m, n});
        kernels::MatMul(a.data(), k, 1, b.data(), n, 1, m, n, k, precision, c.data(), n);
        CheckProduct(precision, a, b, c);
      }
    }
  }
}

TEST_CASE("gemm: strides, bias and accumulation") {
  constexpr int64_t kM = 13, kN = 50, kK = 20;
  const Tensor a = testing::Random({kK, kM}, 1), b = testing::Random({kN, kK}, 2);  // both lie transposed
  const Tensor bias = testing::Random({kN}, 3);
  Tensor plain({kM, kN}), biased({kM, kN}), twice({kM, kN});
  const auto multiply = [&](Tensor& c, const kernels::Epilogue& epilogue) {
    kernels::MatMul(a.data(), 1, kM, b.data(), 1, kK, kM, kN, kK, Precision::kFloat32, c.data(), kN, epilogue);
  };
  kernels::Epilogue with_bias, accumulate;
  with_bias.bias = bias.data();
  accumulate.accumulate = true;
  multiply(plain, {});
  multiply(biased, with_bias);
  multiply(twice, {});
  multiply(twice, accumulate);
  const Tensor left = ops::Permute(a, {1, 0}), right = ops::Permute(b, {1, 0});
  CheckProduct(Precision::kFloat32, left, right, plain);
  CheckProduct(Precision::kFloat32, left, right, biased, bias);
  CheckProduct(Precision::kFloat32, left, right, twice, Tensor(), 2);
}

TEST_CASE("gemm: a row does not depend on the rows beside it, nor on threads") {
  constexpr int64_t kM = 150, kN = 300, kK = 130;
  const Tensor a = testing::Random({kM, kK}, 1), b = testing::Random({kK, kN}, 2);
  const kernels::PackedMatrix packed = kernels::PackMatrix(b.data(), kK, kN, kN, 1, Precision::kFloat32);
  Tensor alone({kM, kN});
  for (int64_t i = 0; i < kM; ++i) kernels::Gemm(a.data() + i * kK, kK, 1, 1, packed, alone.data() + i * kN, kN);
  for (const int threads : {1, 4}) {
    const testing::ThreadScope scope(threads);
    Tensor together({kM, kN});
    kernels::Gemm(a.data(), kK, 1, kM, packed, together.data(), kN);
    CHECK(testing::SameBytes(alone, together));
  }
}

TEST_CASE("gemm: a matrix packed for another instruction set is refused") {
  const Tensor b = testing::Random({8, 8}, 1);
  Tensor c({8, 8});
  kernels::PackedMatrix packed = kernels::PackMatrix(b.data(), 8, 8, 8, 1, Precision::kFloat32);
  packed.isa = -1;
  CHECK_THROWS_AS(kernels::Gemm(b.data(), 8, 1, 8, packed, c.data(), 8), std::invalid_argument);
}

}  // namespace
}  // namespace attnkit
