// Errors made on purpose: a sanitizer that does not report them finds nothing else either. They are skipped unless
// asked for; ctest asks for one at a time and expects the report.
#include <chrono>
#include <thread>

#include "support.h"

namespace attnkit {
namespace {

TEST_CASE("control: a read behind the end of a tensor" * doctest::skip()) {
  const Tensor x({5});
  volatile float read = x.data()[5];
  static_cast<void>(read);
}

TEST_CASE("control: a read of a freed tensor" * doctest::skip()) {
  const float* data = Tensor({5}).data();
  volatile float read = data[0];
  static_cast<void>(read);
}

TEST_CASE("control: an integer that overflows" * doctest::skip()) {
  volatile int large = std::numeric_limits<int>::max();
  volatile int sum = large + 1;
  static_cast<void>(sum);
}

TEST_CASE("control: two pieces of a loop that write one number" * doctest::skip()) {
  const testing::ThreadScope threads(4);
  int pieces = 0;
  ParallelFor(100, 1, [&](int64_t, int64_t) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));  // or the first thread would take them all
    ++pieces;
  });
  CHECK(pieces > 0);
}

}  // namespace
}  // namespace attnkit
