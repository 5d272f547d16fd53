#include "attnkit/profile.h"

#include <chrono>
#include <map>
#include <mutex>

#include "base/fork_safe_mutex.h"

namespace attnkit {
namespace {

ForkSafeMutex mutex;
std::map<std::string, OpCost>& costs = *new std::map<std::string, OpCost>;  // threads may end after static destructors
thread_local internal::OpFrame* running = nullptr;

double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void Add(OpCost& sum, const OpCost& cost) {
  sum.op = cost.op;
  sum.calls += cost.calls;
  sum.seconds += cost.seconds;
  sum.bytes += cost.bytes;
  for (size_t i = 0; i < cost.arithmetic.size(); ++i) sum.arithmetic[i] += cost.arithmetic[i];
}

void Switch(int which, bool on) {
  if (on) {
    internal::watching.fetch_or(which);
  } else {
    internal::watching.fetch_and(~which);
  }
}

}  // namespace

void StartProfile() {
  {
    const std::lock_guard<ForkSafeMutex> lock(mutex);
    costs.clear();
  }
  Switch(internal::kProfiling, true);
}

std::vector<OpCost> StopProfile() {
  Switch(internal::kProfiling, false);
  const std::lock_guard<ForkSafeMutex> lock(mutex);
  std::vector<OpCost> found;
  for (const auto& [op, cost] : costs) found.push_back(cost);
  return found;
}

void SetNanCheck(bool on) { Switch(internal::kCheckingNan, on); }

namespace internal {

std::atomic<int> watching{0};

OpFrame* RunningOp() { return running; }

void EnterOp(OpFrame& frame) {
  frame.outer = running;
  running = &frame;
  frame.begin = Now();
}

void LeaveOp(OpFrame& frame) {
  const double seconds = Now() - frame.begin;
  running = frame.outer;
  if (running) running->cost.seconds -= seconds;  // what an op takes belongs to it alone
  if (!(Watching() & kProfiling)) return;
  frame.cost.calls = 1;
  frame.cost.seconds += seconds;
  const std::lock_guard<ForkSafeMutex> lock(mutex);
  Add(costs[frame.cost.op], frame.cost);
}

}  // namespace internal
}  // namespace attnkit
