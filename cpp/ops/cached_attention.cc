#include <cmath>

#include "attnkit/check.h"
#include "attnkit/kernels/attention.h"
#include "attnkit/ops.h"

namespace attnkit::ops {

Tensor CachedAttention(const Tensor& projected, Tensor& cache, int64_t layer, int64_t position, int64_t heads) {
  ATTNKIT_CHECK(cache.rank() == 4 && projected.rank() == 2 && projected.dim(0) == cache.dim(0) &&
                    2 * projected.dim(1) == 3 * cache.dim(3),
                "[cached_attention] expected projected [rows, 3 D] and cache [rows, layers, capacity, 2 D], got ",
                ToString(projected.shape()), " and ", ToString(cache.shape()));
  const int64_t rows = cache.dim(0), layers = cache.dim(1), capacity = cache.dim(2), width = cache.dim(3) / 2;
  ATTNKIT_CHECK(layer >= 0 && layer < layers && position >= 0 && position < capacity && heads > 0 && width % heads == 0,
                "[cached_attention] expected a layer below ", layers, " and a position below ", capacity, ", got ",
                layer, " and ", position);
  float* keys = cache.data() + layer * capacity * 2 * width;
  const int64_t row_stride = layers * capacity * 2 * width;
  for (int64_t r = 0; r < rows; ++r) {
    std::copy_n(projected.data() + r * 3 * width + width, 2 * width, keys + r * row_stride + position * 2 * width);
  }

  kernels::AttentionShape shape;
  shape.batch = rows, shape.heads = shape.kv_heads = heads;
  shape.d_head = shape.d_value = width / heads;
  shape.queries = 1, shape.keys = position + 1;
  shape.query = {3 * width, shape.d_head, 3 * width};
  shape.key = shape.value = {row_stride, shape.d_head, 2 * width};
  shape.output = {width, shape.d_head, width};
  shape.scale = 1.0f / std::sqrt(static_cast<float>(shape.d_head));
  Tensor output({rows, width});
  Buffer<float> lse(heads * rows);
  kernels::AttentionForward(shape, projected.data(), keys, keys + width, output.data(), lse.data(), nullptr);
  return output;
}

}  // namespace attnkit::ops
