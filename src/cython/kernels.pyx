# cython: language_level=3
"""The kernels as a C API for Cython programs; kernels.pxd explains each."""

from libc.stdint cimport int64_t

cdef extern from "attnkit/c_api.h" nogil:
    int attnkit_softmax(const float* x, int64_t rows, int64_t columns, float* y)
    int attnkit_layer_norm(const float* x, const float* weight, const float* bias, int64_t rows, int64_t columns, float eps,
                           float* y)
    int attnkit_matmul(const float* a, const float* b, int64_t m, int64_t n, int64_t k, float* c)
    int attnkit_attention(const float* query, const float* key, const float* value, int64_t batch, int64_t heads,
                          int64_t kv_heads, int64_t queries, int64_t keys, int64_t d_head, int64_t d_value, int causal,
                          float scale, float* output, float* weights)


cdef int softmax(const float* x, int64_t rows, int64_t columns, float* y) noexcept nogil:
    return attnkit_softmax(x, rows, columns, y)


cdef int layer_norm(const float* x, const float* weight, const float* bias, int64_t rows, int64_t columns, float eps,
                    float* y) noexcept nogil:
    return attnkit_layer_norm(x, weight, bias, rows, columns, eps, y)


cdef int matmul(const float* a, const float* b, int64_t m, int64_t n, int64_t k, float* c) noexcept nogil:
    return attnkit_matmul(a, b, m, n, k, c)


cdef int attention(const float* query, const float* key, const float* value, int64_t batch, int64_t heads, int64_t kv_heads,
                   int64_t queries, int64_t keys, int64_t d_head, int64_t d_value, bint causal, float scale,
                   float* output, float* weights) noexcept nogil:
    return attnkit_attention(query, key, value, batch, heads, kv_heads, queries, keys, d_head, d_value, causal, scale,
                             output, weights)
