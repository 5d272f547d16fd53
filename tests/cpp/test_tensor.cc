// Memory of tensors: borrowed, read-only, shared, and the packed copies that are kept of it.
#include "attnkit/tensor.h"

#include <new>
#include <stdexcept>

#include "support.h"

namespace attnkit {
namespace {

using kernels::Precision;
using testing::MessageOf;

TEST_CASE("tensor: shapes that are no shapes are refused") {
  CHECK(MessageOf([] { Tensor({2, -1}); }) == "[tensor] expected sizes >= 0 whose product fits, got [2, -1]");
  CHECK_THROWS_AS(Tensor({int64_t{1} << 40, int64_t{1} << 40}), std::invalid_argument);
  CHECK_THROWS_AS(Tensor({int64_t{1} << 50}), std::bad_alloc);
  CHECK(Tensor({3, 0}).size() == 0);
}

TEST_CASE("tensor: a view may not leave its tensor") {
  const Tensor x = testing::Random({4, 5}, 1);
  CHECK(x.View({5}, 15).data() == x.data() + 15);
  CHECK_THROWS_AS(x.View({5}, 16), std::invalid_argument);
  CHECK_THROWS_AS(x.View({1}, -1), std::invalid_argument);
}

TEST_CASE("tensor: borrowed memory is given back once, when the last tensor goes") {
  std::vector<float> memory(6, 1.0f);
  int released = 0;
  {
    Loan loan;
    loan.release = [&released] { ++released; };
    const Tensor x = Tensor::Borrow(memory.data(), {2, 3}, std::move(loan));
    const Tensor view = x.View({3}, 3);
    CHECK(!x.IsSoleOwner());
    CHECK(view.data() == memory.data() + 3);
    CHECK(released == 0);
  }
  CHECK(released == 1);
}

TEST_CASE("tensor: read-only memory is never written") {
  float memory[2] = {1, 2};
  Loan loan;
  loan.release = [] {};
  loan.writable = false;
  Tensor x = Tensor::Borrow(memory, {2}, std::move(loan));
  const float other[2] = {3, 4};
  CHECK(MessageOf([&] { x.CopyFrom(other); }).find("[copy_] expected memory that may be written") == 0);
  CHECK(memory[0] == 1);
}

TEST_CASE("tensor: a packed copy is kept until the tensor is written or handed out") {
  Tensor w = testing::Random({6, 4}, 1);
  std::vector<std::shared_ptr<const kernels::PackedMatrix>> alive;  // so that no address comes twice
  const auto packed = [&](bool transpose = false, Precision precision = Precision::kFloat32) {
    return alive.emplace_back(w.Packed(transpose, precision)).get();
  };
  const auto* first = packed();
  CHECK(packed() == first);
  CHECK(packed(true) != first);
  CHECK(packed(false, Precision::kBFloat16) != first);
  w.CopyFrom(testing::Random({6, 4}, 2).data());
  CHECK(packed() != first);
  w.storage().Expose();
  const auto* exposed = packed();
  CHECK(packed() != exposed);
}

}  // namespace
}  // namespace attnkit
