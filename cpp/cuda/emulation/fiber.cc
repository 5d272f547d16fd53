#include "cuda/emulation/fiber.h"

#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdint>
#include <exception>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#elif defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#if defined(__x86_64__)
// swapcontext asks the system for the signal mask each time; what a call must keep is six registers.
extern "C" void attnkit_switch_fiber(void** from, void* to);
asm(R"(
.pushsection .text
.type attnkit_switch_fiber, @function
.hidden attnkit_switch_fiber
.globl attnkit_switch_fiber
attnkit_switch_fiber:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size attnkit_switch_fiber, .-attnkit_switch_fiber
.popsection
)");
#endif

namespace attnkit::emulation {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kStack = 512 << 10;
#else
constexpr size_t kStack = 128 << 10;
#endif

// Below each stack lies memory that nobody may touch: what overflows ends there, not in another thread's stack.
size_t Guard() {
  static const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return page;
}

thread_local Fiber* entering = nullptr;

}  // namespace

struct Fiber::Switch {
  char* stack = nullptr;
#if defined(__x86_64__)
  void *host = nullptr, *fiber = nullptr;  // stack pointers of the two that are not running
#else
  ucontext_t host, fiber;
#endif
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  const void* host_stack = nullptr;
  size_t host_size = 0;
#elif defined(__SANITIZE_THREAD__)
  void *host_state = nullptr, *fiber_state = nullptr;
#endif
};

Fiber::Fiber() : switch_(new Switch) {
  void* guard = mmap(nullptr, Guard() + kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (guard == MAP_FAILED || mprotect(guard, Guard(), PROT_NONE) != 0) {
    if (guard != MAP_FAILED) munmap(guard, Guard() + kStack);
    delete switch_;
    throw std::bad_alloc();
  }
  switch_->stack = static_cast<char*>(guard) + Guard();
#if defined(__x86_64__)
  // As a call leaves it, so that the first switch "returns" into Begin with the stack aligned.
  auto** top = reinterpret_cast<void**>(switch_->stack + kStack);
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(&Fiber::Begin);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  switch_->fiber = top;
#else
  getcontext(&switch_->fiber);
  switch_->fiber.uc_stack.ss_sp = switch_->stack;
  switch_->fiber.uc_stack.ss_size = kStack;
  switch_->fiber.uc_link = nullptr;
  makecontext(&switch_->fiber, &Fiber::Begin, 0);
#endif
#if defined(__SANITIZE_THREAD__)
  switch_->fiber_state = __tsan_create_fiber(0);
#endif
}

Fiber::~Fiber() {
#if defined(__SANITIZE_ADDRESS__)
  // What a thread that never ended left marked there would mark whatever memory comes to lie there next.
  ASAN_UNPOISON_MEMORY_REGION(switch_->stack, kStack);
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_destroy_fiber(switch_->fiber_state);
#endif
  munmap(switch_->stack - Guard(), Guard() + kStack);
  delete switch_;
}

void Fiber::Start(void (*start)(void*), void* argument) {
  start_ = start;
  argument_ = argument;
  Enter();
}

void Fiber::Resume() { Enter(); }

void Fiber::Enter() {
  entering = this;
  Switch& s = *switch_;
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, s.stack, kStack);
#elif defined(__SANITIZE_THREAD__)
  // The threads of a kernel are ordered by its barriers alone, not by whose turn it is.
  s.host_state = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(s.fiber_state, __tsan_switch_to_fiber_no_sync);
#endif
#if defined(__x86_64__)
  attnkit_switch_fiber(&s.host, s.fiber);
#else
  swapcontext(&s.host, &s.fiber);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

void Fiber::Wait() {
  Switch& s = *switch_;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&s.fake, s.host_stack, s.host_size);
#elif defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(s.host_state, __tsan_switch_to_fiber_no_sync);
#endif
#if defined(__x86_64__)
  attnkit_switch_fiber(&s.fiber, s.host);
#else
  swapcontext(&s.fiber, &s.host);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(s.fake, &s.host_stack, &s.host_size);
#endif
}

void Fiber::Begin() {
  Fiber* self = entering;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &self->switch_->host_stack, &self->switch_->host_size);
#endif
  self->Loop();
}

void Fiber::Loop() {
  for (;;) {
    start_(argument_);
    Wait();
  }
}

}  // namespace attnkit::emulation
