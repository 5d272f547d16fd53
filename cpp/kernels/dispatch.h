// Run-time dispatch of kernels that Highway compiles once for each instruction set.
//
// A kernel source is included again for every target (hwy/foreach_target.h). Behind `#if HWY_ONCE` it writes
//   auto* kernel = ATTNKIT_DISPATCH(SoftmaxRows);   // the version for ActiveIsa()
// We choose ourselves instead of using Highway's own dispatch, so that ATTNKIT_ISA rules and no Highway library is
// linked. Include after hwy/highway.h.
#pragma once

#include "attnkit/cpu.h"

#if HWY_ARCH_X86
#define ATTNKIT_DISPATCH(FUNCTION)                                               \
  (::attnkit::ActiveIsa() >= ::attnkit::Isa::kAvx512 ? HWY_CHOOSE_AVX3(FUNCTION) \
   : ::attnkit::ActiveIsa() == ::attnkit::Isa::kAvx2 ? HWY_CHOOSE_AVX2(FUNCTION) \
   : ::attnkit::ActiveIsa() == ::attnkit::Isa::kSse4 ? HWY_CHOOSE_SSE4(FUNCTION) \
                                                     : HWY_CHOOSE_FALLBACK(FUNCTION))
#else
#define ATTNKIT_DISPATCH(FUNCTION) (&HWY_STATIC_DISPATCH(FUNCTION))
#endif
