// The kernels for callers that cannot take C++ exceptions: C, and Cython without the GIL. Arrays are contiguous float32
// in row-major order. Every function returns 0, or -1 when the arguments are refused or memory is short.
#pragma once

#include <stdint.h>

#ifdef __cplusplus
#define ATTNKIT_NOEXCEPT noexcept
extern "C" {
#else
#define ATTNKIT_NOEXCEPT
#endif

// y[r] = softmax(x[r]) for rows of `columns` numbers; y may be x.
int attnkit_softmax(const float* x, int64_t rows, int64_t columns, float* y) ATTNKIT_NOEXCEPT;

// y = (x - mean) / sqrt(variance + eps) * weight + bias, row by row; weight and bias [columns] may be null.
int attnkit_layer_norm(const float* x, const float* weight, const float* bias, int64_t rows, int64_t columns, float eps,
                       float* y) ATTNKIT_NOEXCEPT;

// c [m, n] = a [m, k] . b [k, n]
int attnkit_matmul(const float* a, const float* b, int64_t m, int64_t n, int64_t k, float* c) ATTNKIT_NOEXCEPT;

// output [batch, heads, queries, d_value] from query [batch, heads, queries, d_head], key [batch, kv_heads, keys,
// d_head] and value [batch, kv_heads, keys, d_value]; heads is a multiple of kv_heads. scale <= 0 stands for 1 /
// sqrt(d_head). `weights` [batch, heads, queries, keys] may be null.
int attnkit_attention(const float* query, const float* key, const float* value, int64_t batch, int64_t heads,
                      int64_t kv_heads, int64_t queries, int64_t keys, int64_t d_head, int64_t d_value, int causal,
                      float scale, float* output, float* weights) ATTNKIT_NOEXCEPT;

#ifdef __cplusplus
}
#endif
