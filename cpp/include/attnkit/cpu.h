// What this CPU can run, and what we let it run.
#pragma once

#include <string>
#include <vector>

namespace attnkit {

// Instruction sets in rising order on x86; each includes those before it. On ARM only kNeon exists.
// kAvx512Bf16 adds the bf16 dot product, kAmx the bf16 tiles (needs the operating system's permission too).
enum class Isa { kPortable = 0, kSse4, kAvx2, kAvx512, kAvx512Bf16, kAmx, kNeon };

const char* IsaName(Isa isa);  // "portable", "sse4", "avx2", "avx512", "avx512_bf16", "amx", "neon"

// The best set this machine supports, whatever ATTNKIT_ISA says.
Isa BestIsa();
// Every set this machine can be told to use, lowest first.
std::vector<Isa> SupportedIsas();

// The set in use: ATTNKIT_ISA where given, else the best. Throws std::invalid_argument for an unknown name or a
// set that this machine lacks.
Isa ActiveIsa();
void SetActiveIsa(const std::string& name);

// True when the active set has the bf16 dot product of AVX-512 / the AMX tiles.
inline bool HasAvx512Bf16() { return ActiveIsa() == Isa::kAvx512Bf16 || ActiveIsa() == Isa::kAmx; }
inline bool HasAmx() { return ActiveIsa() == Isa::kAmx; }

std::string CpuModelName();
bool CpuHasVnni();

// True when the active set is AVX-512 on a CPU that has the 8-bit dot product, too.
inline bool HasAvx512Vnni() { return ActiveIsa() >= Isa::kAvx512 && ActiveIsa() <= Isa::kAmx && CpuHasVnni(); }

}  // namespace attnkit
