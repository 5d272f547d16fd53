#include "cuda/emulation/race_detector.h"

#if defined(__SANITIZE_THREAD__)
#include <link.h>

#include <cstddef>
#include <cstdint>

// Of the interface for a language with a heap of its own: what is freed and given out again has no past.
extern "C" {
void __tsan_java_free(uintptr_t begin, uintptr_t bytes);
void __tsan_java_alloc(uintptr_t begin, uintptr_t bytes);
}

namespace attnkit::emulation {
namespace {

struct Range {
  uintptr_t begin = 0, bytes = 0;
};

bool Holds(const dl_phdr_info& object, uintptr_t address) {
  for (int i = 0; i < object.dlpi_phnum; ++i) {
    const auto& part = object.dlpi_phdr[i];
    if (part.p_type == PT_LOAD && address - (object.dlpi_addr + part.p_vaddr) < part.p_memsz) return true;
  }
  return false;
}

// The variables of this thread of the host in this library: __shared__ is thread_local here (runtime.h).
int FindVariables(dl_phdr_info* object, size_t, void* found) {
  if (!Holds(*object, reinterpret_cast<uintptr_t>(&FreshSharedMemory))) return 0;
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& part = object->dlpi_phdr[i];
    if (part.p_type == PT_TLS)
      *static_cast<Range*>(found) = {reinterpret_cast<uintptr_t>(object->dlpi_tls_data), part.p_memsz};
  }
  return 1;
}

Range Variables() {
  Range range;
  dl_iterate_phdr(&FindVariables, &range);
  return {range.begin, (range.bytes + 7) / 8 * 8};
}

}  // namespace

void FreshSharedMemory() {
  thread_local const Range variables = Variables();
  if (variables.begin == 0) return;
  __tsan_java_free(variables.begin, variables.bytes);
  __tsan_java_alloc(variables.begin, variables.bytes);
}

}  // namespace attnkit::emulation
#else
void attnkit::emulation::FreshSharedMemory() {}
#endif
