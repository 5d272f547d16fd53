// What ops cost, and which of them first gave NaN: both are asked for by a switch, and cost a look at it when it is
// off.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace attnkit {

// Of all calls of an op, without the ops that it called. Arithmetic is what multiplies matrices, two operations a
// product and its sum, by the precision that it was in (kernels::Precision).
struct OpCost {
  std::string op;
  int64_t calls = 0;
  double seconds = 0, bytes = 0;
  std::array<double, 3> arithmetic{};
};

// From now on, from nothing. Threads are counted together.
void StartProfile();
std::vector<OpCost> StopProfile();  // by name

// From now on an op throws std::runtime_error that gives NaN although nothing that it reads is one.
void SetNanCheck(bool on);

namespace internal {

constexpr int kProfiling = 1, kCheckingNan = 2;
extern std::atomic<int> watching;  // the switches
inline int Watching() { return watching.load(std::memory_order_relaxed); }

// An op that is running in this thread.
struct OpFrame {
  OpCost cost;
  double begin = 0;
  OpFrame* outer = nullptr;
};
OpFrame* RunningOp();  // null: none, or nobody watches
void EnterOp(OpFrame& frame);
void LeaveOp(OpFrame& frame);

}  // namespace internal

// For kernels: what the op that runs in this thread multiplies.
inline void CountArithmetic(double operations, int precision) {
  if (!internal::Watching()) return;
  if (internal::OpFrame* op = internal::RunningOp()) op->cost.arithmetic[precision] += operations;
}

}  // namespace attnkit
