// B of a product as a device keeps it (PackedMatrix::on_device).
#pragma once

#include <cstdint>

#include "attnkit/kernels/gemm.h"
#include "cuda/device.h"
#include "cuda/scratch.h"

namespace attnkit::cuda {

// An array of a device that outlives the kernel which made it: its last owner may mean another device meanwhile.
template <typename T>
class Kept {
 public:
  explicit Kept(int64_t size) : device_(CurrentDevice()), bytes_(size * sizeof(T)) {
    if (size < 0 || size > static_cast<int64_t>(kMostBytes / sizeof(T))) throw std::bad_alloc();
    data_ = static_cast<T*>(AllocateOnDevice(bytes_));
  }
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;
  ~Kept() {
    const int before = CurrentDevice();
    UseDevice(device_);
    FreeOnDevice(data_, bytes_);
    UseDevice(before);
  }

  T* data() const { return data_; }

 private:
  int device_;
  size_t bytes_;
  T* data_ = nullptr;
};

// B[k, n] row by row: float32, or bf16 as bits.
template <typename Number>
struct PackedRows {
  PackedRows(int64_t k, int64_t n) : numbers(k * n) {}
  Kept<Number> numbers;
};

// int8: column by column, each of `words` words of four bytes, the last filled up with zeros. What an integer stands
// for, its shift and what a sum starts from (PackedMatrix::shifts, signed_compensation) for each column; the latter two
// only with an input multiplier.
struct PackedBytes {
  PackedBytes(int64_t k, int64_t n) : words((k + 3) / 4), bytes(words * 4 * n), scales(n), shifts(n), compensation(n) {}
  int64_t words;
  Kept<int8_t> bytes;
  Kept<float> scales, shifts;
  Kept<int32_t> compensation;
};

// Number (i, j) of B is at data[i * b.n + j]. Of a matrix packed in that precision by this device.
inline const float* Floats(const kernels::PackedMatrix& b) {
  return static_cast<const PackedRows<float>*>(b.on_device.get())->numbers.data();
}
inline const uint16_t* BFloat16s(const kernels::PackedMatrix& b) {
  return static_cast<const PackedRows<uint16_t>*>(b.on_device.get())->numbers.data();
}
inline const PackedBytes& Bytes(const kernels::PackedMatrix& b) {
  return *static_cast<const PackedBytes*>(b.on_device.get());
}

}  // namespace attnkit::cuda
