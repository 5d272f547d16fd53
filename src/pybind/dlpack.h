// DLPack's structures (https://dmlc.github.io/dlpack/latest/c_api.html), as they lie in memory.
#pragma once

#include <cstdint>

namespace attnkit::python {

struct DLDevice {
  int32_t type, id;
};
struct DLDataType {
  uint8_t code, bits;
  uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t *shape, *strides;
  uint64_t byte_offset;
};
struct DLManagedTensor {
  DLTensor tensor;
  void* context;
  void (*deleter)(DLManagedTensor* self);
};
// From version 1 on.
struct DLManagedTensorVersioned {
  uint32_t major, minor;
  void* context;
  void (*deleter)(DLManagedTensorVersioned* self);
  uint64_t flags;
  DLTensor tensor;
};

constexpr int32_t kDLCPU = 1, kDLCUDA = 2;
constexpr uint8_t kDLFloat = 2, kDLBfloat = 4;
constexpr uint64_t kDLReadOnly = 1, kDLIsCopied = 2;

// The names of a capsule that somebody may take, and of one that was taken.
template <typename Managed>
struct CapsuleName;
template <>
struct CapsuleName<DLManagedTensor> {
  static constexpr const char *kFresh = "dltensor", *kUsed = "used_dltensor";
};
template <>
struct CapsuleName<DLManagedTensorVersioned> {
  static constexpr const char *kFresh = "dltensor_versioned", *kUsed = "used_dltensor_versioned";
};

}  // namespace attnkit::python
