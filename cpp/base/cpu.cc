#include "attnkit/cpu.h"

#include <atomic>
#include <cstdlib>
#include <fstream>

#include "attnkit/check.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__linux__) && defined(__x86_64__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace attnkit {
namespace {

constexpr Isa kX86Isas[] = {Isa::kPortable, Isa::kSse4, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16, Isa::kAmx};

#if defined(__x86_64__)

// Linux hands out the 8 KB of tile state only to processes that ask for it (arch_prctl ARCH_REQ_XCOMP_PERM).
bool AmxPermitted() {
#if defined(__linux__)
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

// Every CPU with the tiles multiplies bf16 and int8.
bool CpuHasAmx() {
  unsigned a, b, c, d;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  const bool bf16 = d & (1u << 22), tile = d & (1u << 24), int8 = d & (1u << 25);
  return bf16 && tile && int8 && AmxPermitted();
}

Isa DetectIsa() {
  __builtin_cpu_init();
  // The features that Highway's targets of the same names are compiled for.
  const bool sse4 =
      __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("aes");
  if (!sse4) return Isa::kPortable;
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                    __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("f16c");
  if (!avx2) return Isa::kSse4;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512cd");
  if (!avx512) return Isa::kAvx2;
  if (!__builtin_cpu_supports("avx512bf16")) return Isa::kAvx512;
  return CpuHasAmx() ? Isa::kAmx : Isa::kAvx512Bf16;
}

#else

Isa DetectIsa() {
#if defined(__aarch64__)
  return Isa::kNeon;
#else
  return Isa::kPortable;
#endif
}

#endif

std::string JoinedNames(const std::vector<Isa>& isas) {
  std::string names;
  for (Isa isa : isas) names += (names.empty() ? "" : ", ") + std::string(IsaName(isa));
  return names;
}

Isa ParseIsa(const std::string& name) {
  const std::vector<Isa> supported = SupportedIsas();
  for (Isa isa : supported) {
    if (name == IsaName(isa)) return isa;
  }
  Fail("[ATTNKIT_ISA] expected an instruction set of this machine (", JoinedNames(supported), "), got \"", name, "\"");
}

// -1 until first used. Not static variables of functions: a child that is forked while another thread initialises one
// waits for that thread for ever. Two threads that detect at once find the same.
std::atomic<int> best_isa{-1}, active_isa{-1};

}  // namespace

const char* IsaName(Isa isa) {
  switch (isa) {
    case Isa::kPortable: return "portable";
    case Isa::kSse4: return "sse4";
    case Isa::kAvx2: return "avx2";
    case Isa::kAvx512: return "avx512";
    case Isa::kAvx512Bf16: return "avx512_bf16";
    case Isa::kAmx: return "amx";
    case Isa::kNeon: return "neon";
  }
  return "unknown";
}

Isa BestIsa() {
  int isa = best_isa.load(std::memory_order_relaxed);
  if (isa < 0) {
    isa = static_cast<int>(DetectIsa());
    best_isa.store(isa, std::memory_order_relaxed);
  }
  return static_cast<Isa>(isa);
}

std::vector<Isa> SupportedIsas() {
  if (BestIsa() == Isa::kNeon) return {Isa::kNeon};
  std::vector<Isa> isas;
  for (Isa isa : kX86Isas) {
    if (isa <= BestIsa()) isas.push_back(isa);
  }
  return isas;
}

Isa ActiveIsa() {
  int isa = active_isa.load(std::memory_order_relaxed);
  if (isa < 0) {
    const char* forced = std::getenv("ATTNKIT_ISA");
    isa = static_cast<int>(forced && *forced ? ParseIsa(forced) : BestIsa());
    active_isa.store(isa, std::memory_order_relaxed);
  }
  return static_cast<Isa>(isa);
}

void SetActiveIsa(const std::string& name) { active_isa.store(static_cast<int>(ParseIsa(name))); }

std::string CpuModelName() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

bool CpuHasVnni() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

}  // namespace attnkit
