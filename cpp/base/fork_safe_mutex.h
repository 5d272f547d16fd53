// A mutex that is free in a forked child. A child has only the thread that forked: a plain mutex that another thread
// held at that moment stays held in it for ever.
#pragma once

#include <mutex>

namespace attnkit {

// All of them are taken around a fork, so a thread that holds one must not wait for another.
class ForkSafeMutex {
 public:
  ForkSafeMutex();
  ~ForkSafeMutex();
  ForkSafeMutex(const ForkSafeMutex&) = delete;
  ForkSafeMutex& operator=(const ForkSafeMutex&) = delete;

  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  static void LockAll();
  static void UnlockAll();

  std::mutex mutex_;
  ForkSafeMutex *next_, *previous_ = nullptr;
};

}  // namespace attnkit
