#include "attnkit/threads.h"

#include <omp.h>
#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <thread>

#include "attnkit/check.h"

namespace attnkit {
namespace {

std::atomic<int> thread_count{0};  // 0 until first used
thread_local int limit_here = std::numeric_limits<int>::max();

// A child that is forked after the first parallel loop has none of its parent's OpenMP threads, and libgomp would wait
// for them for ever: it runs serially. Forks are watched from the loading of the library on, so that none is missed.
std::atomic<bool> has_threads{false}, forked_child{false};
[[maybe_unused]] const int watching_forks =
    pthread_atfork(nullptr, nullptr, [] { forked_child.store(has_threads.load()); });

int AffinityCpus() {
#if defined(__linux__)
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof(mask), &mask) == 0) return CPU_COUNT(&mask);
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

std::string ReadFirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The path of this process in the hierarchy that `controller` names: "" for cgroup v2, "cpu" for v1.
std::string CgroupPath(const std::string& controller) {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    if (controller.empty() ? names == ",," : names.find("," + controller + ",") != std::string::npos)
      return line.substr(second + 1);
  }
  return "/";
}

double QuotaOf(double quota, double period) { return quota > 0 && period > 0 ? quota / period : 0.0; }

double QuotaV2(const std::string& folder) {
  std::istringstream line(ReadFirstLine(folder + "/cpu.max"));
  std::string quota;
  double period = 0;
  line >> quota >> period;
  return quota.empty() || quota == "max" ? 0.0 : QuotaOf(std::atof(quota.c_str()), period);
}

double QuotaV1(const std::string& folder) {
  return QuotaOf(std::atof(ReadFirstLine(folder + "/cpu.cfs_quota_us").c_str()),
                 std::atof(ReadFirstLine(folder + "/cpu.cfs_period_us").c_str()));
}

// The tightest quota on the way from this process's group up to the root.
template <typename Read>
double TightestQuota(const std::string& root, std::string path, const Read& read) {
  double tightest = 0;
  while (true) {
    const double quota = read(root + path);
    if (quota > 0 && (tightest == 0 || quota < tightest)) tightest = quota;
    if (path.empty() || path == "/") return tightest;
    path.resize(path.find_last_of('/'));
  }
}

int DefaultThreadCount() {
  const char* requested = std::getenv("OMP_NUM_THREADS");
  const int limit = requested ? std::atoi(requested) : 0;
  return limit > 0 ? std::min(limit, AvailableCpus()) : AvailableCpus();
}

}  // namespace

double CgroupCpuQuota() {
  const double v2 = TightestQuota("/sys/fs/cgroup", CgroupPath(""), QuotaV2);
  return v2 > 0 ? v2 : TightestQuota("/sys/fs/cgroup/cpu", CgroupPath("cpu"), QuotaV1);
}

int AvailableCpus() {
  const double quota = CgroupCpuQuota();
  const int cpus = AffinityCpus();
  return quota > 0 ? std::max(1, std::min(cpus, static_cast<int>(std::ceil(quota)))) : cpus;
}

int ThreadCount() {
  int count = thread_count.load(std::memory_order_relaxed);
  if (count == 0) {
    count = DefaultThreadCount();
    thread_count.store(count, std::memory_order_relaxed);
  }
  return std::min(count, limit_here);
}

void LimitThreadsHere(int count) {
  ATTNKIT_CHECK(count >= 1, "[threads] expected a limit of at least 1, got ", count);
  limit_here = count;
}

void SetThreadCount(int count) {
  ATTNKIT_CHECK(count >= 1 && count <= 1024, "[threads] expected a number from 1 to 1024, got ", count);
  thread_count.store(count, std::memory_order_relaxed);
}

namespace internal {

bool InParallel() { return omp_in_parallel() || forked_child.load(std::memory_order_relaxed); }

void ParallelChunks(int64_t chunks, const std::function<void(int64_t)>& run) {
  has_threads.store(true, std::memory_order_relaxed);
  std::exception_ptr failure;
  std::atomic<bool> failed{false};
  const int threads = static_cast<int>(std::min<int64_t>(ThreadCount(), chunks));
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (int64_t c = 0; c < chunks; ++c) {
    if (failed.load(std::memory_order_relaxed)) continue;
    try {
      run(c);
    } catch (...) {
      if (!failed.exchange(true)) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace internal
}  // namespace attnkit
