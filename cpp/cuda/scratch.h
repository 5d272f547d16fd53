// Memory of the current device for as long as a kernel of a table runs.
#pragma once

#include <cstdint>

#include "attnkit/allocator.h"
#include "cuda/device.h"

namespace attnkit::cuda {

// An owned array of T, uninitialised.
template <typename T>
class Scratch {
 public:
  explicit Scratch(int64_t size) : bytes_(Bytes(size)), data_(static_cast<T*>(AllocateOnDevice(bytes_))) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { FreeOnDevice(data_, bytes_); }

  T* data() const { return data_; }

 private:
  static size_t Bytes(int64_t size) {
    if (size < 0 || size > static_cast<int64_t>(kMostBytes / sizeof(T))) throw std::bad_alloc();
    return size * sizeof(T);
  }
  size_t bytes_;
  T* data_;
};

// Numbers of the host, on the device: the offsets, places and tables of pointers by which a kernel is planned.
template <typename T>
class Uploaded {
 public:
  // Null stays null.
  Uploaded(const T* host, int64_t size) : scratch_(host ? size : 0), given_(host != nullptr) {
    if (host) CopyToDevice(host, size * sizeof(T), scratch_.data());
  }
  const T* data() const { return given_ ? scratch_.data() : nullptr; }

 private:
  Scratch<T> scratch_;
  bool given_;
};

}  // namespace attnkit::cuda
