#include "attnkit/c_api.h"

#include <cmath>

#include "attnkit/check.h"
#include "attnkit/kernels/attention.h"
#include "attnkit/kernels/gemm.h"
#include "attnkit/kernels/rows.h"

namespace {

template <typename Call>
int Guarded(const Call& call) noexcept {
  try {
    call();
    return 0;
  } catch (...) {
    return -1;
  }
}

}  // namespace

namespace kernels = attnkit::kernels;

int attnkit_softmax(const float* x, int64_t rows, int64_t columns, float* y) noexcept {
  return Guarded([&] {
    ATTNKIT_CHECK(rows >= 0 && columns >= 0, "[softmax] expected sizes >= 0");
    kernels::SoftmaxForward(x, rows, columns, y);
  });
}

int attnkit_layer_norm(const float* x, const float* weight, const float* bias, int64_t rows, int64_t columns, float eps,
                       float* y) noexcept {
  return Guarded([&] {
    ATTNKIT_CHECK(rows >= 0 && columns >= 0, "[layer_norm] expected sizes >= 0");
    kernels::AddDropoutLayerNormForward(x, nullptr, weight, bias, rows, columns, eps, 0.0f, {}, nullptr, y, nullptr,
                                        nullptr);
  });
}

int attnkit_matmul(const float* a, const float* b, int64_t m, int64_t n, int64_t k, float* c) noexcept {
  return Guarded([&] {
    ATTNKIT_CHECK(m >= 0 && n >= 0 && k >= 0, "[matmul] expected sizes >= 0");
    kernels::MatMul(a, k, 1, b, n, 1, m, n, k, kernels::Precision::kFloat32, c, n);
  });
}

int attnkit_attention(const float* query, const float* key, const float* value, int64_t batch, int64_t heads,
                      int64_t kv_heads, int64_t queries, int64_t keys, int64_t d_head, int64_t d_value, int causal,
                      float scale, float* output, float* weights) noexcept {
  return Guarded([&] {
    ATTNKIT_CHECK(batch >= 0 && kv_heads >= 1 && heads >= 1 && heads % kv_heads == 0 && queries >= 0 && keys >= 0 &&
                      d_head >= 1 && d_value >= 1,
                  "[attention] expected sizes >= 0 and heads a multiple of kv_heads");
    kernels::AttentionShape shape;
    shape.batch = batch, shape.heads = heads, shape.kv_heads = kv_heads;
    shape.queries = queries, shape.keys = keys, shape.d_head = d_head, shape.d_value = d_value;
    shape.query = {heads * queries * d_head, queries * d_head, d_head};
    shape.key = {kv_heads * keys * d_head, keys * d_head, d_head};
    shape.value = {kv_heads * keys * d_value, keys * d_value, d_value};
    shape.output = {heads * queries * d_value, queries * d_value, d_value};
    shape.causal = causal != 0;
    shape.scale = scale > 0 ? scale : 1.0f / std::sqrt(static_cast<float>(d_head));
    kernels::AttentionForward(shape, query, key, value, output, {}, weights);
  });
}
