// Types of numbers in memory. Tensors are of the first two; ops compute in float32.
#pragma once

#include <cstdint>

namespace attnkit {

enum class DType { kFloat32 = 0, kBFloat16, kInt32, kUInt8 };

// Bytes of a number.
constexpr int64_t BytesOf(DType dtype) { return dtype == DType::kUInt8 ? 1 : dtype == DType::kBFloat16 ? 2 : 4; }

constexpr const char* NameOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return "float32";
    case DType::kBFloat16: return "bfloat16";
    case DType::kInt32: return "int32";
    case DType::kUInt8: return "uint8";
  }
  return "unknown";
}

}  // namespace attnkit
