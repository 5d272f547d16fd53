// CPU, threads, memory, random numbers.
#include "attnkit/allocator.h"
#include "attnkit/cpu.h"
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
  return info;
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

}  // namespace

void BindSystem(py::module_& m) {
  m.def("supported_isas", &SupportedNames);
  m.def("active_isa", [] { return IsaName(ActiveIsa()); });
  m.def("set_isa", &SetActiveIsa, py::arg("name"));
  m.def("cpu_info", &CpuInfo);
  m.def("build_info", &BuildInfo);
  m.def("get_num_threads", &ThreadCount);
  m.def("set_num_threads", &SetThreadCount, py::arg("count"));
  m.def("limit_threads_here", &LimitThreadsHere, py::arg("count"));
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
