// A device that has no kernel, and one that has the CPU's.
#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "attnkit/autograd.h"
#include "attnkit/context.h"
#include "attnkit/kernels.h"
#include "attnkit/ops/arithmetic.h"
#include "attnkit/ops/product.h"
#include "attnkit/ops/rows.h"
#include "attnkit/ops/shape.h"
#include "testing/host2.h"

using namespace attnkit;

namespace {

const Kernels& NullKernels() {
  static const Kernels kernels("null");
  return kernels;
}

// Memory of the host, and nothing that computes.
class NullContext final : public Context {
 public:
  NullContext() : Context(NullKernels()) {}
  void* Allocate(size_t bytes) const override { return std::malloc(bytes ? bytes : 1); }
  void Free(void* block, size_t) const noexcept override { std::free(block); }
  void CopyFromHost(const void* host, size_t bytes, void* to) const override { std::memcpy(to, host, bytes); }
  void CopyToHost(const void* from, size_t bytes, void* host) const override { std::memcpy(host, from, bytes); }
};

Tensor Numbers(const std::vector<float>& values, Shape shape, const Context& context) {
  Tensor x(std::move(shape), context);
  x.CopyFrom(values.data());
  return x;
}

std::vector<float> Host(const Tensor& x) {
  std::vector<float> values(x.size());
  x.CopyTo(values.data());
  return values;
}

}  // namespace

TEST_CASE("a kernel that a device lacks is named with the op and the device") {
  static const NullContext null;
  const Tensor x = Numbers({1, 2, 3, 4}, {2, 2}, null);
  CHECK_THROWS_WITH_AS(ops::Softmax(x), "[softmax] expected a tensor of the CPU: there is no kernel for null yet",
                       std::invalid_argument);
  CHECK_THROWS_WITH_AS(ops::Add(x, x), "[add] expected a tensor of the CPU: there is no kernel for null yet",
                       std::invalid_argument);
  CHECK_THROWS_AS(Tensor::Zeros({2}, null), std::invalid_argument);
  CHECK_FALSE(static_cast<bool>(null.kernels().SoftmaxForward));
  CHECK(static_cast<bool>(Cpu().kernels().SoftmaxForward));
}

TEST_CASE("a device by its name") {
  Host2();
  CHECK(&ContextOf("cpu") == &Cpu());
  CHECK(&ContextOf("host2") == &Host2());
  CHECK_THROWS_AS(ContextOf("cuda:0"), std::invalid_argument);
}

TEST_CASE("ops run where their tensors lie, forwards and backwards") {
  const int64_t before = Host2Blocks();
  {
    Tensor x = Numbers({1, 2, 3, 4}, {2, 2}, Host2());
    x.set_requires_grad(true);
    const Tensor y = ops::SumAll(ops::Multiply(ops::MatMul(x, x), x));
    CHECK(&y.context() == &Host2());
    Backward(y, Tensor());
    Tensor same = Numbers({1, 2, 3, 4}, {2, 2}, Cpu());
    same.set_requires_grad(true);
    const Tensor expected = ops::SumAll(ops::Multiply(ops::MatMul(same, same), same));
    Backward(expected, Tensor());
    CHECK(Host(y) == Host(expected));
    CHECK(Host(x.grad()) == Host(same.grad()));
    CHECK_THROWS_AS(ops::Add(x, same), std::invalid_argument);
    CHECK(Host2Blocks() > before);
  }
  CHECK(Host2Blocks() == before);
}

TEST_CASE("memory of the CPU is refused by the kernels of another device") {
  const Tensor here = Numbers({1, 2}, {2}, Cpu()), there = Numbers({1, 2}, {2}, Host2());
  CHECK_THROWS_AS(Host2().kernels().Copy(here.data(), 2, there.data()), std::logic_error);
}

TEST_CASE("tensors pass between devices through the host") {
  static const NullContext null;
  const Tensor there = Numbers({1, 2, 3}, {3}, Host2());
  CHECK(Host(there.To(null).To(Cpu())) == std::vector<float>{1, 2, 3});
  CHECK(there.To(Host2()).data() == there.data());
}
