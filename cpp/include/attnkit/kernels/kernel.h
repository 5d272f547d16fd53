// A kernel as a device has it. The free functions of this folder are the CPU's; each of them that an op calls has a
// slot in the table of a device (attnkit/kernels.h), which another device fills with a function of its own.
//
// What a function of another device is given: numbers, and the ids and rows beside them, lie in that device's memory
// (Tensor::data, Indices::On). Shapes and calls are structs of the host: so are the offsets, places and tables of
// pointers that they hold, by which a kernel is planned; the numbers that they point to lie on the device. A
// PackedMatrix is what the device's own PackMatrix made. A function that returns a number waits for it.
#pragma once

#include <string>

namespace attnkit::kernels {

// What the slots of a table know of it.
struct Table {
  std::string device;  // "cpu", "cuda:0"
  bool is_cpu = false;
};

// Throws std::invalid_argument: "[softmax] expected a tensor of the CPU: there is no kernel for cuda:0 yet".
[[noreturn]] void ThrowMissing(const char* op, const Table& table);

template <auto kCpu>
class Kernel;

template <typename Result, typename... Arguments, Result (*kCpu)(Arguments...)>
class Kernel<kCpu> {
 public:
  using Function = Result (*)(Arguments...);
  static constexpr Function kOfCpu = kCpu;

  // `op` names it where it is missing.
  Kernel(const char* op, const Table& table) : op_(op), table_(&table), run_(table.is_cpu ? kCpu : nullptr) {}
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;
  Kernel& operator=(Function run) {
    run_ = run;
    return *this;
  }

  Result operator()(Arguments... arguments) const {
    if (!run_) ThrowMissing(op_, *table_);
    return run_(arguments...);
  }
  explicit operator bool() const { return run_ != nullptr; }
  const char* op() const { return op_; }

 private:
  const char* op_;
  const Table* table_;
  Function run_;
};

}  // namespace attnkit::kernels
