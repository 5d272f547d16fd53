// Small kernels that are wrong, each in its own way: what the emulation says of them is tested.
#pragma once

#include <string>

namespace attnkit::cuda {

// Throws what the emulation throws; else what the kernel wrote. An unknown name: std::invalid_argument.
int RunFaultyKernel(const std::string& name);

}  // namespace attnkit::cuda
