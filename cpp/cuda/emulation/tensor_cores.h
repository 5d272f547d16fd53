// The tensor cores of a warp, as cuda/tensor_cores.h needs them. Sums are rounded as published measurements of GPUs
// find them: eight products and the sum so far are added exactly, and what does not fit a float32 is cut off.
#pragma once

#include <cstdint>

namespace attnkit::emulation {

// Four matrices of 8 x 8 numbers of bf16: lane 8 i + r says where row r of matrix i begins. Lane 4 g + t gets numbers 2
// t and 2 t + 1 of row g of each, or of column g. Throws std::logic_error for an address that is no multiple of 16.
void LoadFragment(const uint16_t* row, bool transposed, unsigned (&to)[4], const char* file, int line);

// sums += a · b.
void MultiplyFragments(const unsigned (&a)[4], const unsigned (&b)[4], float (&sums)[8], const char* file, int line);

// Whether the device says that it has them: without, it takes the way of GPUs of compute capability 7.5.
void SetTensorCores(bool there);

}  // namespace attnkit::emulation
