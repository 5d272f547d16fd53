#include "attnkit/random.h"

#include <mutex>

#include "base/fork_safe_mutex.h"

namespace attnkit {
namespace {

ForkSafeMutex mutex;
GeneratorState state;

}  // namespace

void ManualSeed(uint64_t seed) { SetGeneratorState({seed, 0}); }

GeneratorState GetGeneratorState() {
  std::lock_guard<ForkSafeMutex> lock(mutex);
  return state;
}

void SetGeneratorState(GeneratorState new_state) {
  std::lock_guard<ForkSafeMutex> lock(mutex);
  state = new_state;
}

PhiloxKey NextPhiloxKey() {
  std::lock_guard<ForkSafeMutex> lock(mutex);
  return {state.seed, state.next_stream++};
}

}  // namespace attnkit
