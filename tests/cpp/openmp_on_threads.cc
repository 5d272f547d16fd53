// OpenMP's runtime on std::thread, for ThreadSanitizer.
//
// GCC's libgomp is not compiled with ThreadSanitizer, which therefore does not see how its threads wait for each other
// and would take every loop for a race. The core has one parallel loop (ParallelChunks in cpp/base/threads.cc); GCC
// turns it into calls of the functions below, which this program defines in libgomp's stead. So the core runs as it is
// compiled, its threads are really there, and their beginning and end are what the sanitizer understands.
#include <algorithm>
#include <atomic>
#include <mutex>

#include "support.h"

namespace {

// The threads of one loop share it.
struct Loop {
  std::mutex mutex;
  bool begun = false;
  std::atomic<long> next{0};
  long end = 0, chunk = 1;
};

thread_local Loop* loop_here = nullptr;
std::atomic<long> loops{0};

void RunIn(Loop& loop, void (*body)(void*), void* data) {
  Loop* const outer = loop_here;
  loop_here = &loop;
  body(data);
  loop_here = outer;
}

}  // namespace

extern "C" {

void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned /*flags*/) {
  ++loops;
  Loop loop;
  std::vector<std::thread> others;
  for (unsigned t = 1; t < threads; ++t) others.emplace_back([&] { RunIn(loop, body, data); });
  RunIn(loop, body, data);
  for (std::thread& other : others) other.join();
}

bool GOMP_loop_nonmonotonic_dynamic_next(long* begin, long* end) {
  Loop& loop = *loop_here;
  *begin = loop.next.fetch_add(loop.chunk);
  *end = std::min(*begin + loop.chunk, loop.end);
  return *begin < loop.end;
}

bool GOMP_loop_nonmonotonic_dynamic_start(long from, long to, long /*step*/, long chunk, long* begin, long* end) {
  {
    Loop& loop = *loop_here;
    const std::lock_guard<std::mutex> lock(loop.mutex);
    if (!loop.begun) loop.next = from, loop.end = to, loop.chunk = chunk;
    loop.begun = true;
  }
  return GOMP_loop_nonmonotonic_dynamic_next(begin, end);
}

void GOMP_loop_end_nowait() {}

int omp_in_parallel() { return loop_here != nullptr; }

}  // extern "C"

// With a compiler that makes other calls of the loop this file would stand beside it unused.
TEST_CASE("openmp on threads: parallel loops run here") {
  const attnkit::testing::ThreadScope threads(3);
  const long before = loops;
  std::atomic<int> pieces{0};
  attnkit::ParallelFor(10, 1, [&](int64_t, int64_t) { ++pieces; });
  CHECK(loops == before + 1);
  CHECK(pieces == 10);
}
