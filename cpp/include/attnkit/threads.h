// Threads: how many, and loops over them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>

namespace attnkit {

// Threads that kernels use. Starts as the size of the affinity mask, bounded by the cgroup's CPU quota and by
// OMP_NUM_THREADS where given; never the host's cores.
int ThreadCount();
void SetThreadCount(int count);  // throws std::invalid_argument unless 1 <= count <= 1024
// At most so many for kernels called by the present thread: a worker beside other workers takes one.
void LimitThreadsHere(int count);  // throws std::invalid_argument unless 1 <= count
// What the affinity mask and the cgroup quota allow.
int AvailableCpus();
// The cgroup's quota in CPUs, or 0 where there is none.
double CgroupCpuQuota();

namespace internal {
void ParallelChunks(int64_t chunks, const std::function<void(int64_t)>& run);
bool InParallel();
}  // namespace internal

// Calls body(begin, end) over [0, count) in pieces of `grain` (the last may be short), on the threads. The pieces are
// the same whatever the number of threads, so a reduction that keeps one partial sum a piece and adds them in order is
// deterministic. Runs in this thread when there is one piece, when nested, and in a forked child. The first exception
// of a piece is thrown here. Waking threads costs microseconds: choose `grain` so that a piece is worth 20 us or more.
template <typename Body>
void ParallelFor(int64_t count, int64_t grain, const Body& body) {
  if (count <= 0) return;
  grain = std::max<int64_t>(grain, 1);
  const int64_t chunks = (count + grain - 1) / grain;
  if (chunks == 1 || ThreadCount() == 1 || internal::InParallel()) {
    for (int64_t c = 0; c < chunks; ++c) body(c * grain, std::min(count, (c + 1) * grain));
    return;
  }
  internal::ParallelChunks(chunks, [&](int64_t c) { body(c * grain, std::min(count, (c + 1) * grain)); });
}

}  // namespace attnkit
