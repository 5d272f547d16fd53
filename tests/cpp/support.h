// What the C++ tests share.
#pragma once

#include <cmath>
#include <cstring>
#include <exception>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "attnkit/cpu.h"
#include "attnkit/ops.h"
#include "attnkit/threads.h"
#include "doctest/doctest.h"

namespace attnkit::testing {

constexpr double kEpsilon = std::numeric_limits<float>::epsilon();

inline Tensor Random(Shape shape, unsigned seed, bool requires_grad = false) {
  Tensor tensor(std::move(shape));
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  for (int64_t i = 0; i < tensor.size(); ++i) tensor.data()[i] = normal(generator);
  tensor.set_requires_grad(requires_grad);
  return tensor;
}

inline bool SameBytes(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// The message of the error that `run` must throw.
inline std::string MessageOf(const std::function<void()>& run) {
  try {
    run();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing was thrown";
}

// For messages: doctest shows a char* as an address.
inline std::string Name(Isa isa) { return IsaName(isa); }

// One instruction set while it lives.
class IsaScope {
 public:
  explicit IsaScope(Isa isa) : before_(ActiveIsa()) { SetActiveIsa(IsaName(isa)); }
  ~IsaScope() { SetActiveIsa(IsaName(before_)); }

 private:
  Isa before_;
};

// A number of threads while it lives.
class ThreadScope {
 public:
  explicit ThreadScope(int count) : before_(ThreadCount()) { SetThreadCount(count); }
  ~ThreadScope() { SetThreadCount(before_); }

 private:
  int before_;
};

// run(0), run(1), ... each in a thread of its own; throws the first thread's error here.
inline void InThreads(int count, const std::function<void(int)>& run) {
  std::vector<std::exception_ptr> errors(count);
  std::vector<std::thread> threads;
  for (int t = 0; t < count; ++t) {
    threads.emplace_back([&, t] {
      try {
        run(t);
      } catch (...) {
        errors[t] = std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace attnkit::testing
