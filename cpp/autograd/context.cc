#include "attnkit/context.h"

#include <cstring>
#include <mutex>
#include <vector>

#include "attnkit/allocator.h"
#include "attnkit/check.h"
#include "attnkit/gpus.h"
#include "attnkit/kernels.h"

namespace attnkit {
namespace {

const Kernels& CpuKernels() {
  static const Kernels& kernels = *new Kernels;
  return kernels;
}

class CpuContext final : public Context {
 public:
  CpuContext() : Context(CpuKernels()) {}
  void* Allocate(size_t bytes) const override { return attnkit::Allocate(bytes); }
  void Free(void* block, size_t bytes) const noexcept override { attnkit::Free(block, bytes); }
  void CopyFromHost(const void* host, size_t bytes, void* to) const override {
    if (bytes) std::memcpy(to, host, bytes);
  }
  void CopyToHost(const void* from, size_t bytes, void* host) const override {
    if (bytes) std::memcpy(host, from, bytes);
  }
  std::optional<DeviceId> id() const override { return DeviceId{1, 0}; }
};

std::mutex mutex;  // of what other devices there are; nothing is asked of it while tensors are computed
std::vector<const Context*>& Others() {
  static auto& others = *new std::vector<const Context*>;
  return others;
}

// The first GPU has a short name.
std::string FullName(const std::string& device) { return device == "cuda" ? "cuda:0" : device; }

bool IsGpu(const std::string& name) { return name.rfind("cuda:", 0) == 0; }

// Why there is none of that name, where that can be said.
std::string WhyNot(const std::string& name) {
  if (!IsGpu(name)) return "";
  std::string why;
  FindGpus(&why);
  return why.empty() ? "" : ": " + why;
}

}  // namespace

Context::Context(const Kernels& kernels) : kernels_(kernels), device_(kernels.device), is_cpu_(kernels.is_cpu) {}

const Context& Cpu() {
  static const CpuContext& cpu = *new CpuContext;  // never destroyed: tensors may outlive what is static
  return cpu;
}

const Context& ContextOf(const std::string& device) {
  if (device == Cpu().device()) return Cpu();
  const std::string name = FullName(device);
  // GPUs are looked for when one is asked for: that takes a while, and where nobody asks, nothing of CUDA runs.
  if (IsGpu(name)) RegisterGpus();
  std::string known = "\"cpu\"";
  std::lock_guard<std::mutex> lock(mutex);
  for (const Context* context : Others()) {
    if (context->device() == name) return *context;
    known += " or \"" + context->device() + "\"";
  }
  Fail("[device] expected ", known, ", got \"", device, "\"", WhyNot(name));
}

const Context* FindContext(DeviceId id) {
  constexpr int32_t kCuda = 2;
  const auto is = [id](const Context& context) {
    const auto own = context.id();
    return own && own->kind == id.kind && own->number == id.number;
  };
  if (is(Cpu())) return &Cpu();
  if (id.kind == kCuda) RegisterGpus();
  std::lock_guard<std::mutex> lock(mutex);
  for (const Context* context : Others()) {
    if (is(*context)) return context;
  }
  return nullptr;
}

void RegisterContext(const Context& context) {
  std::lock_guard<std::mutex> lock(mutex);
  Others().push_back(&context);
}

namespace kernels {

void ThrowMissing(const char* op, const Table& table) {
  Fail("[", op, "] expected a tensor of the CPU: there is no kernel for ", table.device, " yet");
}

}  // namespace kernels
}  // namespace attnkit
