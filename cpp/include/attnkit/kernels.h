// The kernels of a device, one table for all: an op asks for them by the context of its tensors.
#pragma once

#include "attnkit/kernels/attention.h"
#include "attnkit/kernels/decoding.h"
#include "attnkit/kernels/elementwise.h"
#include "attnkit/kernels/gemm.h"
#include "attnkit/kernels/memory.h"
#include "attnkit/kernels/optimizer.h"
#include "attnkit/kernels/ragged.h"
#include "attnkit/kernels/recurrent.h"
#include "attnkit/kernels/reduce.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/kernels/vision.h"

namespace attnkit {

// Every slot of the CPU's table is the free function of its name; those of another device are empty at first, and throw
// a sentence that names op and device.
class Kernels : public kernels::MemoryKernels,
                public kernels::ReduceKernels,
                public kernels::ElementwiseKernels,
                public kernels::ProductKernels,
                public kernels::RowKernels,
                public kernels::AttentionKernels,
                public kernels::DecodingKernels,
                public kernels::OptimizerKernels,
                public kernels::RaggedKernels,
                public kernels::RecurrentKernels,
                public kernels::VisionKernels {
 public:
  Kernels() : kernels::Table{"cpu", true} {}
  explicit Kernels(std::string device) : kernels::Table{std::move(device), false} {}
};

}  // namespace attnkit
