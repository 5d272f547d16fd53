#include "cuda/emulation/machine.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "cuda/emulation/fiber.h"
#include "cuda/emulation/runtime.h"

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
void AnnotateIgnoreWritesBegin(const char* file, int line);
void AnnotateIgnoreWritesEnd(const char* file, int line);
}
#endif

namespace attnkit::emulation {
namespace {

constexpr int kLanes = 32, kMostThreads = 1024;
constexpr size_t kMostShared = 48 << 10;  // of a block that has not asked for more
constexpr unsigned kMostOfX = 0x7fffffff, kMostOfYandZ = 65535;
// Behind the dynamic shared memory of a block, so that what is written there is noticed.
constexpr size_t kFence = 256;
constexpr unsigned char kFenceByte = 0xa5;

// ----- For the race detector, which knows each fiber as a thread: who leaves a barrier comes after all who entered it,
// and nothing else orders them; what the machine itself reads and writes is none of its business.
void Released([[maybe_unused]] void* barrier) {
#if defined(__SANITIZE_THREAD__)
  __tsan_release(barrier);
#endif
}
void Acquired([[maybe_unused]] void* barrier) {
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(barrier);
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

// ----- The order of things.

uint64_t Mixed(uint64_t x) {  // splitmix64
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

std::atomic<uint64_t> seed{0}, seeds_set{0};
std::atomic<int64_t> launches{0};

// How many kernels this thread of the host has run since the seed was set.
uint64_t KernelsRun() {
  thread_local uint64_t kernels = 0, since = 0;
  const uint64_t now = seeds_set;
  kernels = now == since ? kernels + 1 : 1;
  since = now;
  return kernels;
}

// A permutation of [0, size): i * step + first.
class Order {
 public:
  Order(uint64_t size, uint64_t random) : size_(size) {
    if (!random || size < 2) return;
    first_ = random % size;
    step_ = 1 + Mixed(random) % (size - 1);
    while (std::gcd(step_, size) != 1) ++step_;
  }
  uint64_t operator[](uint64_t i) const { return (i * step_ + first_) % size_; }

 private:
  uint64_t size_, step_ = 1, first_ = 0;
};

// ----- A block.

enum class At { kEnd, kBlockBarrier, kWarpBarrier };

struct Thread {
  Fiber fiber;
  Here here;
  At at = At::kEnd;
  const char* file = nullptr;  // where it waits
  int line = 0;
  int exchanges = 0, warp_barriers = 0;
  const std::function<void()>* body = nullptr;
  std::exception_ptr error;  // of the body: its fiber has no caller to throw to
};

struct Warp {
  OfferedWords values[2][kLanes];  // of the last exchange and the one before, which some lanes may still read
  char barriers[2];                // names for the race detector: of this one and of the next, that others may be at
};

// The threads of the host's thread, kept for the next kernel.
struct Block {
  ~Block() {
    const InMachine machine;
    threads.clear();
  }
  std::vector<std::unique_ptr<Thread>> threads;
  Warp warps[kMostThreads / kLanes];
  std::vector<unsigned char> shared;
  int64_t votes[2] = {0, 0};
  int parity = 0;
  int count = 0;
  char launch = 0, end = 0, barriers[2] = {0, 0};  // names for the race detector
};
thread_local Block block;
thread_local Thread* running = nullptr;

int IndexInBlock(const Thread& thread) { return static_cast<int>(thread.here.thread.x); }

void Body(void* thread) {
  const InMachine machine;
  auto& self = *static_cast<Thread*>(thread);
  Acquired(&block.launch);
  try {
    const InMachine::Outside outside;
    (*self.body)();
  } catch (...) {
    self.error = std::current_exception();
  }
  Released(&block.end);
  self.at = At::kEnd;
}

std::string Place(const std::string& file, int line) {
  return file.substr(file.rfind('/') + 1) + ":" + std::to_string(line);
}
std::string Place(const Thread& thread) { return Place(thread.file, thread.line); }

bool AtOnePlace(const Thread& a, const Thread& b) {
  return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

// Of a kernel that failed: what still waits is forgotten where it is, a fiber holds nothing but its stack.
void Forget() {
  Acquired(&block.end);
  for (char& barrier : block.barriers) Acquired(&barrier);
  for (Warp& warp : block.warps) {
    for (char& barrier : warp.barriers) Acquired(&barrier);
  }
  block.threads.clear();
}

[[noreturn]] void ThrowAt(const Thread& waiting, const std::string& what) {
  const std::string place = Place(waiting);
  Forget();
  throw std::logic_error("[cuda] " + place + ": " + what);
}

// Lets a thread go on until it waits or ends.
void Go(Thread& thread, bool fresh) {
  running = &thread;
  here = &thread.here;
  if (fresh)
    thread.fiber.Start(&Body, &thread);
  else
    thread.fiber.Resume();
  here = nullptr;
  running = nullptr;
  if (!thread.error) return;
  const std::exception_ptr error = thread.error;
  Forget();
  std::rethrow_exception(error);
}

// Lets a warp go on until its threads wait for the block, or end.
void GoWarp(int warp, bool fresh, uint64_t random) {
  const Order lanes(kLanes, random);
  for (;;) {
    int waiting = 0;
    Thread* first = nullptr;
    for (int i = 0; i < kLanes; ++i) {
      Thread& thread = *block.threads[warp * kLanes + lanes[i]];
      Go(thread, fresh);
      if (thread.at != At::kWarpBarrier) continue;
      ++waiting;
      first = &thread;
    }
    fresh = false;
    if (!waiting) return;
    for (int i = 0; i < kLanes; ++i) {
      const Thread& thread = *block.threads[warp * kLanes + i];
      if (thread.at != At::kWarpBarrier)
        ThrowAt(*first, "expected all lanes of the warp, lane " + std::to_string(i) +
                            (thread.at == At::kEnd ? " has ended" : " waits for the block at " + Place(thread)));
      if (!AtOnePlace(thread, *first))
        ThrowAt(*first, "expected all lanes of the warp, lane " + std::to_string(i) + " is at " + Place(thread));
    }
  }
}

void RunBlock(uint64_t random) {
  const int warps = block.count / kLanes;
  const Order order(warps, random);
  block.votes[0] = block.votes[1] = 0;  // what a kernel that failed may have left
  for (bool fresh = true;; fresh = false) {
    for (int i = 0; i < warps; ++i) GoWarp(static_cast<int>(order[i]), fresh, Mixed(random + i) * (random != 0));
    const Thread& first = *block.threads[0];
    for (int i = 0; i < block.count; ++i) {
      const Thread& thread = *block.threads[i];
      if (thread.at == first.at && (first.at == At::kEnd || AtOnePlace(thread, first))) continue;
      const Thread& waiting = thread.at == At::kEnd ? first : thread;
      ThrowAt(waiting, "expected all threads of the block at this barrier, got some that " +
                           (thread.at == At::kEnd || first.at == At::kEnd ? std::string("have ended")
                                                                          : "wait at " + Place(first)));
    }
    if (first.at == At::kEnd) return;
    block.parity ^= 1;
    block.votes[block.parity] = 0;
  }
}

void Prepare(dim3 grid, dim3 size, size_t shared, const std::function<void()>& body) {
  if (size.y != 1 || size.z != 1 || size.x == 0 || size.x > kMostThreads || size.x % kLanes)
    throw std::logic_error("[cuda] expected a block of whole warps in x, at most 1024 threads, got " +
                           std::to_string(size.x) + " x " + std::to_string(size.y) + " x " + std::to_string(size.z));
  if (shared > kMostShared)
    throw std::logic_error("[cuda] expected at most 48 KiB of shared memory, got " + std::to_string(shared) + " bytes");
  if (grid.x > kMostOfX || grid.y > kMostOfYandZ || grid.z > kMostOfYandZ)
    throw std::logic_error("[cuda] expected a grid of at most 2^31 - 1 x 65535 x 65535, got " + std::to_string(grid.x) +
                           " x " + std::to_string(grid.y) + " x " + std::to_string(grid.z));
  block.count = static_cast<int>(size.x);
  block.shared.assign(shared + kFence, kFenceByte);
  while (static_cast<int>(block.threads.size()) < block.count) block.threads.push_back(std::make_unique<Thread>());
  for (int i = 0; i < block.count; ++i) {
    Thread& thread = *block.threads[i];
    thread.body = &body;
    thread.here = {dim3(static_cast<unsigned>(i), 0, 0), dim3(), size, grid, block.shared.data()};
  }
}

void Await(At at, const char* file, int line) {
  Thread& self = *running;
  self.at = at;
  self.file = file;
  self.line = line;
  void* barrier = at == At::kBlockBarrier
                      ? &block.barriers[block.parity]
                      : &block.warps[IndexInBlock(self) / kLanes].barriers[self.warp_barriers++ % 2];
  Released(barrier);
  {
    const InMachine::Outside outside;  // where the fiber of a kernel that failed ends
    self.fiber.Wait();
  }
  Acquired(barrier);
}

void CheckMask(unsigned mask, const char* file, int line) {
  if (mask != 0xffffffffu) throw std::logic_error("[cuda] " + Place(file, line) + ": expected the mask of all lanes");
}

}  // namespace

void SetSeed(uint64_t value) {
  seed = value;
  ++seeds_set;
}

int64_t Launches() { return launches; }

void Run(dim3 grid, dim3 size, size_t shared, const std::function<void()>& body) {
  if (running) throw std::logic_error("[cuda] expected a launch by the host, got one by a kernel");
  const InMachine machine;
  ++launches;
  Prepare(grid, size, shared, body);
  const uint64_t chosen = seed, random = chosen ? Mixed(chosen + Mixed(KernelsRun())) | 1 : 0;
  const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
  const Order order(blocks, random);
  for (uint64_t i = 0; i < blocks; ++i) {
    const uint64_t number = order[i];
    const dim3 index(static_cast<unsigned>(number % grid.x), static_cast<unsigned>(number / grid.x % grid.y),
                     static_cast<unsigned>(number / grid.x / grid.y));
    std::fill_n(block.shared.begin(), shared, 0xff);  // NaN, as another block may have left
    for (int t = 0; t < block.count; ++t) block.threads[t]->here.block = index;
    Released(&block.launch);
    RunBlock(random ? Mixed(random + i) | 1 : 0);
    Acquired(&block.end);
    if (std::any_of(block.shared.end() - kFence, block.shared.end(), [](unsigned char b) { return b != kFenceByte; }))
      throw std::logic_error("[cuda] a kernel wrote behind its " + std::to_string(shared) + " bytes of shared memory");
  }
}

void SyncThreads(const char* file, int line) {
  const InMachine machine;
  Await(At::kBlockBarrier, file, line);
}

int SyncThreadsCount(bool predicate, const char* file, int line) {
  const InMachine machine;

  const int parity = block.parity;
  __atomic_fetch_add(&block.votes[parity], predicate, __ATOMIC_RELAXED);
  Await(At::kBlockBarrier, file, line);
  return static_cast<int>(block.votes[parity]);
}

void SyncWarp(unsigned mask, const char* file, int line) {
  const InMachine machine;

  CheckMask(mask, file, line);
  Await(At::kWarpBarrier, file, line);
}

const OfferedWords* Offer(unsigned mask, const uint64_t* words, int count, const char* file, int line) {
  const InMachine machine;

  CheckMask(mask, file, line);
  Thread& self = *running;
  OfferedWords* values = block.warps[IndexInBlock(self) / kLanes].values[self.exchanges++ % 2];
  std::copy_n(words, count, values[Lane()].words);
  Await(At::kWarpBarrier, file, line);
  return values;
}

uint64_t Exchange(unsigned mask, uint64_t bits, int lane, const char* file, int line) {
  return Offer(mask, &bits, 1, file, line)[lane & (kLanes - 1)].words[0];
}

unsigned Ballot(unsigned mask, bool predicate, const char* file, int line) {
  const uint64_t vote = predicate;
  const OfferedWords* offered = Offer(mask, &vote, 1, file, line);
  unsigned votes = 0;
  for (int i = 0; i < kLanes; ++i) votes |= static_cast<unsigned>(offered[i].words[0]) << i;
  return votes;
}

int Lane() { return IndexInBlock(*running) % kLanes; }

}  // namespace attnkit::emulation
