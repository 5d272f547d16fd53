// CPU, threads, memory, random numbers.
#include <signal.h>
#include <unistd.h>

#include "attnkit/allocator.h"
#include "attnkit/cpu.h"
#include "attnkit/gpus.h"
#include "attnkit/profile.h"
#include "attnkit/random.h"
#include "attnkit/threads.h"
#include "casts.h"

namespace attnkit::python {
namespace {

std::vector<std::string> SupportedNames() {
  std::vector<std::string> names;
  for (Isa isa : SupportedIsas()) names.emplace_back(IsaName(isa));
  return names;
}

py::dict CpuInfo() {
  py::dict info;
  info["model"] = CpuModelName();
  info["supported_isas"] = SupportedNames();
  info["active_isa"] = IsaName(ActiveIsa());
  info["vnni"] = CpuHasVnni();
  info["available_cpus"] = AvailableCpus();
  info["cgroup_quota"] = CgroupCpuQuota();
  info["threads"] = ThreadCount();
  return info;
}

// What was chosen when this was compiled.
py::dict BuildInfo() {
  py::dict info;
  info["allocator"] = AllocatorName();
  info["sanitizers"] = ATTNKIT_SANITIZERS;
  info["cuda"] = BuiltWithCuda() ? "yes" : "no";
  return info;
}

py::list CudaDevices() {
  py::list devices;
  for (const Gpu& gpu : FindGpus()) {
    py::dict device;
    device["name"] = gpu.name;
    device["capability"] = gpu.capability;
    device["memory"] = gpu.memory;
    device["driver"] = gpu.driver;
    device["runtime"] = gpu.runtime;
    devices.append(device);
  }
  return devices;
}

std::string WhyNoCuda() {
  std::string why;
  FindGpus(&why);
  return why;
}

py::dict MemoryStats() {
  const AllocatorStats stats = GetAllocatorStats();
  py::dict result;
  result["bytes_in_use"] = stats.bytes_in_use;
  result["bytes_cached"] = stats.bytes_cached;
  result["peak_bytes"] = stats.peak_bytes;
  result["system_calls"] = stats.system_calls;
  return result;
}

// A row an op: name, calls, seconds, bytes, and the arithmetic in fp32, bf16 and int8.
py::list CostsToPython(const std::vector<OpCost>& costs) {
  py::list rows;
  for (const OpCost& cost : costs) {
    const auto& [fp32, bf16, int8] = cost.arithmetic;
    rows.append(py::make_tuple(cost.op, cost.calls, cost.seconds, cost.bytes, fp32, bf16, int8));
  }
  return rows;
}

// What a program says as it ends by a read of a mapped file beyond the file's end: whoever maps model.safetensors while
// somebody cuts it gets SIGBUS. Only what a signal handler may do is done there.
std::string bus_error_message;

extern "C" void EndOnBusError(int) {
  // GCC wants the result used; there is nobody left to tell.
  if (write(STDERR_FILENO, bus_error_message.data(), bus_error_message.size()) < 0) _exit(1);
  _exit(1);
}

void SayOnBusError(const std::string& message) {
  bus_error_message = message + "\n";
  struct sigaction action = {};
  action.sa_handler = EndOnBusError;
  sigaction(SIGBUS, &action, nullptr);
}

}  // namespace

void BindSystem(py::module_& m) {
  m.def("supported_isas", &SupportedNames);
  m.def("active_isa", [] { return IsaName(ActiveIsa()); });
  m.def("set_isa", &SetActiveIsa, py::arg("name"));
  m.def("cpu_info", &CpuInfo);
  m.def("build_info", &BuildInfo);
  m.def("cuda_devices", &CudaDevices);
  m.def("why_no_cuda", &WhyNoCuda);
  m.def("get_num_threads", &ThreadCount);
  m.def("set_num_threads", &SetThreadCount, py::arg("count"));
  m.def("limit_threads_here", &LimitThreadsHere, py::arg("count"));
  m.def("say_on_bus_error", &SayOnBusError, py::arg("message"));
  m.def("start_profile", &StartProfile);
  m.def("stop_profile", [] { return CostsToPython(StopProfile()); });
  m.def("set_nan_check", &SetNanCheck, py::arg("on"));
  m.def("memory_stats", &MemoryStats);
  m.def("trim_memory", &TrimCache);
  m.def("manual_seed", &ManualSeed, py::arg("seed"));
  m.def("next_stream", [] {
    const PhiloxKey key = NextPhiloxKey();
    return std::make_pair(key.seed, key.stream);
  });
  m.def("random_state", [] {
    const GeneratorState state = GetGeneratorState();
    return std::make_pair(state.seed, state.next_stream);
  });
  m.def(
      "set_random_state",
      [](std::pair<uint64_t, uint64_t> state) {
        SetGeneratorState({state.first, state.second});
      },
      py::arg("state"));
}

}  // namespace attnkit::python
