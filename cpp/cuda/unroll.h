// ATTNKIT_UNROLL in front of a loop of known length over numbers in registers.
#pragma once

#ifdef __CUDACC__
#define ATTNKIT_UNROLL _Pragma("unroll")
#else
#define ATTNKIT_UNROLL
#endif
