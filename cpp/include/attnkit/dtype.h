// Types of numbers in memory. Tensors are of the first three; ops compute in float32.
#pragma once

#include <cstdint>

namespace attnkit {

enum class DType { kFloat32 = 0, kBFloat16, kInt8, kInt32, kUInt8 };

// Bytes of a number.
constexpr int64_t BytesOf(DType dtype) {
  switch (dtype) {
    case DType::kInt8:
    case DType::kUInt8: return 1;
    case DType::kBFloat16: return 2;
    default: return 4;
  }
}

constexpr const char* NameOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return "float32";
    case DType::kBFloat16: return "bfloat16";
    case DType::kInt8: return "int8";
    case DType::kInt32: return "int32";
    case DType::kUInt8: return "uint8";
  }
  return "unknown";
}

}  // namespace attnkit
