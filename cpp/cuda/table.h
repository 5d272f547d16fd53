// The table of kernels of a CUDA device.
#pragma once

#include "attnkit/kernels.h"

namespace attnkit::cuda {

// device: its number on this machine.
void FillTable(Kernels& kernels, int device);

}  // namespace attnkit::cuda
