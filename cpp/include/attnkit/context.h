// Where memory lies and work is done: a device with its allocator, its stream and its kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace attnkit {

class Kernels;  // attnkit/kernels.h

// What DLPack calls a device: 1 is the CPU, 2 CUDA, 12 a device of somebody's own; and its number.
struct DeviceId {
  int32_t kind, number;
};

// A context lives until the process ends. What is asked of it is done in that order (its stream); the CPU's is the
// thread that asks.
class Context {
 public:
  virtual ~Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const Kernels& kernels() const { return kernels_; }
  const std::string& device() const { return device_; }
  bool is_cpu() const { return is_cpu_; }

  // Memory of the device, aligned to kBlockAlignment, contents undefined. Throws std::bad_alloc.
  virtual void* Allocate(size_t bytes) const = 0;
  virtual void Free(void* block, size_t bytes) const noexcept = 0;
  // Between the device's memory and the host's. The second waits for what was asked of the stream before.
  virtual void CopyFromHost(const void* host, size_t bytes, void* to) const = 0;
  virtual void CopyToHost(const void* from, size_t bytes, void* host) const = 0;
  // Until the device has nothing to do, whoever asked for it. What is asked of the CPU is done when it returns.
  virtual void Wait() const {}

  // For others who share memory of this device. Nothing: nobody outside can.
  virtual std::optional<DeviceId> id() const { return {}; }
  // Its stream, and another that waits for what was asked of it until now. Of CUDA, 1 is the default stream, 2 that of
  // the thread, and what is more a handle.
  virtual int64_t stream() const { return 1; }
  virtual void LetWait(int64_t /*stream*/) const {}

 protected:
  explicit Context(const Kernels& kernels);  // which live as long

 private:
  const Kernels& kernels_;
  std::string device_;
  bool is_cpu_;
};

const Context& Cpu();
// The context of a device by its name. Throws std::invalid_argument for one that this build or this machine lacks.
const Context& ContextOf(const std::string& device);
// The same by DLPack's name for it; null for one that this build or this machine lacks.
const Context* FindContext(DeviceId id);
// Makes a device known; its context must live until the process ends.
void RegisterContext(const Context& context);

}  // namespace attnkit
