// The emulated device: its memory is the host's, and what is launched is done at once.
#include "cuda/device.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>

#include "attnkit/allocator.h"
#include "cuda/emulation/machine.h"

namespace attnkit {
namespace {

std::atomic<int64_t> copies_to_host{0};
std::mutex mutex;  // of the blocks in use: where each begins, and where it ends
std::map<uintptr_t, uintptr_t>& Blocks() {
  static auto& blocks = *new std::map<uintptr_t, uintptr_t>;
  return blocks;
}

bool OfDevice(uintptr_t address) {
  std::lock_guard<std::mutex> lock(mutex);
  const auto after = Blocks().upper_bound(address);
  return after != Blocks().begin() && address <= std::prev(after)->second;  // the end too: of an empty array
}

// Could a processor of 64 bits read there? What is below kLeast is a size or two small numbers side by side, though a
// sanitizer may have mapped its tables there; heaps, stacks and libraries lie above.
bool Mapped(uintptr_t address) {
  constexpr uintptr_t kLeast = uintptr_t{1} << 45, kMost = uintptr_t{1} << 48;
  if (address < kLeast || address >= kMost) return false;
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  return msync(reinterpret_cast<void*>(address / page * page), page, MS_ASYNC) == 0;
}

}  // namespace

void emulation::CheckWords(const void* argument, size_t bytes, const char* launch) {
  for (size_t at = 0; at + sizeof(uintptr_t) <= bytes; at += sizeof(uintptr_t)) {
    uintptr_t word;
    std::memcpy(&word, static_cast<const char*>(argument) + at, sizeof word);
    if (Mapped(word) && !OfDevice(word))
      throw std::logic_error(
          std::string("[cuda] expected addresses of the device, got one of the host's memory in word ") +
          std::to_string(at / 8) + ": " + launch);
  }
}

emulation::Asked emulation::AskedOfDevice() { return {Launches(), copies_to_host}; }

namespace cuda {

void UseDevice(int) {}
int CurrentDevice() { return 0; }

void* AllocateOnDevice(size_t bytes) {
  if (bytes > kMostBytes) throw std::bad_alloc();
  void* block = ::operator new (bytes ? bytes : 1, std::align_val_t{256});
  std::memset(block, 0xff, bytes);  // NaN, as fresh memory of a device may hold
  std::lock_guard<std::mutex> lock(mutex);
  Blocks()[reinterpret_cast<uintptr_t>(block)] = reinterpret_cast<uintptr_t>(block) + bytes;
  return block;
}

void FreeOnDevice(void* block, size_t) noexcept {
  {
    std::lock_guard<std::mutex> lock(mutex);
    Blocks().erase(reinterpret_cast<uintptr_t>(block));
  }
  ::operator delete (block, std::align_val_t{256});
}

void CopyToDevice(const void* host, size_t bytes, void* device) {
  if (bytes) std::memcpy(device, host, bytes);
}

void CopyToHost(const void* device, size_t bytes, void* host) {
  ++copies_to_host;
  if (bytes) std::memcpy(host, device, bytes);
}

}  // namespace cuda
}  // namespace attnkit
