// What ThreadSanitizer is told of an emulated kernel, in a build with it (ATTNKIT_RACES of CMake): each fiber is a
// thread; who leaves a barrier comes after all who entered it, and nothing else orders them; what the machine itself
// reads and writes is none of its business. Without it, all of this is empty.
#pragma once

#if defined(__SANITIZE_THREAD__)
extern "C" {
void __tsan_acquire(void* name);
void __tsan_release(void* name);
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
#endif

// Of a function of the machine that reads what other lanes offered.
#define ATTNKIT_UNSEEN __attribute__((no_sanitize("thread")))

namespace attnkit::emulation {

#if defined(__SANITIZE_THREAD__)
constexpr bool kFindsRaces = true;
#else
constexpr bool kFindsRaces = false;
#endif

inline void Released([[maybe_unused]] void* name) {
#if defined(__SANITIZE_THREAD__)
  __tsan_release(name);
#endif
}
inline void Acquired([[maybe_unused]] void* name) {
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(name);
#endif
}

// For the thread or fiber that runs, from here to its end; Outside is back in the kernel meanwhile.
struct InMachine {
#if defined(__SANITIZE_THREAD__)
  InMachine() { Enter(); }
  ~InMachine() { Leave(); }
  static void Enter() {
    AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
    AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
  }
  static void Leave() {
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
    AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  }
  struct Outside {
    Outside() { Leave(); }
    ~Outside() { Enter(); }
  };
#else
  InMachine() {}
  struct Outside {
    Outside() {}
  };
#endif
};

// The static shared memory of the block to come, which lies where the last one's did: what was written there is
// forgotten.
void FreshSharedMemory();

}  // namespace attnkit::emulation
