// A stack of its own that the thread of the host can go to and come back from: a thread of an emulated block.
#pragma once

#include <cstddef>

namespace attnkit::emulation {

class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Runs start(argument), which may not throw, until it waits or ends. The fiber must not be at work.
  void Start(void (*start)(void*), void* argument);
  void Resume();  // goes on behind Wait
  void Wait();    // within the fiber: back to who started or resumed it

 private:
  struct Switch;
  void Enter();
  [[noreturn]] void Loop();
  static void Begin();

  Switch* switch_;
  void (*start_)(void*) = nullptr;
  void* argument_ = nullptr;
};

}  // namespace attnkit::emulation
