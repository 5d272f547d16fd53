// Parallel loops: what runs where, and what comes out of them.
#include <atomic>
#include <stdexcept>

#include "support.h"

namespace attnkit {
namespace {

using testing::ThreadScope;

TEST_CASE("threads: every index once, in the same pieces whatever the threads") {
  for (const int threads : {1, 2, 4}) {
    for (const int64_t count : {1, 6, 7, 8, 100}) {
      CAPTURE(threads);
      CAPTURE(count);
      const ThreadScope scope(threads);
      std::vector<int> visits(count, 0);
      std::atomic<int> uneven{0};
      ParallelFor(count, 7, [&](int64_t begin, int64_t end) {
        if (begin % 7 != 0 || (end - begin != 7 && end != count)) ++uneven;
        for (int64_t i = begin; i < end; ++i) ++visits[i];
      });
      CHECK(visits == std::vector<int>(count, 1));
      CHECK(uneven == 0);
    }
  }
}

TEST_CASE("threads: an empty loop runs nothing") {
  int calls = 0;
  ParallelFor(0, 1, [&](int64_t, int64_t) { ++calls; });
  ParallelFor(-3, 1, [&](int64_t, int64_t) { ++calls; });
  CHECK(calls == 0);
}

TEST_CASE("threads: an exception leaves the loop, and the next loop runs") {
  for (const int threads : {1, 4}) {
    CAPTURE(threads);
    const ThreadScope scope(threads);
    const auto fail = [](int64_t begin, int64_t) {
      if (begin == 5) throw std::out_of_range("piece five");
    };
    CHECK_THROWS_WITH_AS(ParallelFor(20, 1, fail), "piece five", std::out_of_range);
    std::atomic<int> pieces{0};
    ParallelFor(20, 1, [&](int64_t, int64_t) { ++pieces; });
    CHECK(pieces == 20);
  }
}

TEST_CASE("threads: when every piece throws, one exception comes out") {
  const ThreadScope scope(4);
  CHECK_THROWS_AS(ParallelFor(50, 1, [](int64_t, int64_t) { throw std::runtime_error("each"); }), std::runtime_error);
}

TEST_CASE("threads: a loop in a loop stays in its thread") {
  const ThreadScope scope(4);
  std::atomic<int> elsewhere{0}, pieces{0};
  ParallelFor(8, 1, [&](int64_t, int64_t) {
    const std::thread::id here = std::this_thread::get_id();
    ParallelFor(8, 1, [&](int64_t, int64_t) {
      ++pieces;
      if (std::this_thread::get_id() != here) ++elsewhere;
    });
  });
  CHECK(pieces == 64);
  CHECK(elsewhere == 0);
}

TEST_CASE("threads: a limit holds for its thread alone") {
  const ThreadScope scope(4);
  testing::InThreads(1, [](int) {
    LimitThreadsHere(1);
    if (ThreadCount() != 1) throw std::runtime_error("the limit does not hold");
  });
  CHECK(ThreadCount() == 4);
}

TEST_CASE("threads: counts that make no sense are refused") {
  CHECK(testing::MessageOf([] { SetThreadCount(0); }) == "[threads] expected a number from 1 to 1024, got 0");
  CHECK_THROWS_AS(SetThreadCount(1025), std::invalid_argument);
  CHECK_THROWS_AS(LimitThreadsHere(0), std::invalid_argument);
}

}  // namespace
}  // namespace attnkit
