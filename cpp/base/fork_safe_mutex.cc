#include "base/fork_safe_mutex.h"

#include <pthread.h>

namespace attnkit {
namespace {

std::mutex list;
ForkSafeMutex* first = nullptr;
bool watching = false;

}  // namespace

ForkSafeMutex::ForkSafeMutex() {
  const std::lock_guard<std::mutex> lock(list);
  if (!watching) pthread_atfork(LockAll, UnlockAll, UnlockAll);
  watching = true;
  next_ = first;
  if (first) first->previous_ = this;
  first = this;
}

ForkSafeMutex::~ForkSafeMutex() {
  const std::lock_guard<std::mutex> lock(list);
  (previous_ ? previous_->next_ : first) = next_;
  if (next_) next_->previous_ = previous_;
}

void ForkSafeMutex::LockAll() {
  list.lock();
  for (ForkSafeMutex* each = first; each; each = each->next_) each->lock();
}

void ForkSafeMutex::UnlockAll() {
  for (ForkSafeMutex* each = first; each; each = each->next_) each->unlock();
  list.unlock();
}

}  // namespace attnkit
