#include "ops/ragged/layout.h"

#include <utility>

#include "attnkit/check.h"
#include "ops/offsets.h"

namespace attnkit::ops {
RaggedLayout::RaggedLayout(const char* op, const RaggedOffsets& offsets, int64_t queries, int64_t keys,
                           const Context& context)
    : offsets_(offsets) {
  CheckOffsets(op, "query_offsets", offsets.query, queries);
  CheckOffsets(op, "key_offsets", offsets.key, keys);
  ATTNKIT_CHECK(offsets.query.size() == offsets.key.size(), "[", op,
                "] expected as many key offsets as query offsets, got ", offsets.key.size(), " and ",
                offsets.query.size());
  shape_.batch = offsets.query.size() - 1;
  Buffer<int64_t> blocks(shape_.batch + 1);
  blocks[0] = 0;
  for (int64_t b = 0; b < shape_.batch; ++b) {
    const int64_t rows = offsets.query[b + 1] - offsets.query[b], columns = offsets.key[b + 1] - offsets.key[b];
    blocks[b + 1] = blocks[b] + rows * columns;
  }
  blocks_ = std::make_shared<const Buffer<int64_t>>(std::move(blocks));
  shape_.query_offsets = offsets_.query.data();
  shape_.key_offsets = offsets_.key.data();
  shape_.block_offsets = blocks_->data();
  const Indices &begins = offsets.begins, &ends = offsets.ends;
  ATTNKIT_CHECK(bool(begins) == bool(ends), "[", op, "] expected begins and ends together");
  ATTNKIT_CHECK(!begins || (begins.size() == shape_.queries() && ends.size() == shape_.queries()), "[", op,
                "] expected ", shape_.queries(), " begins and ends, got ", begins.size(), " and ", ends.size());
  shape_.begins = begins.On(context);
  shape_.ends = ends.On(context);
}

void RaggedLayout::CheckPairs(const char* op, const char* what, const Tensor& x) const {
  ATTNKIT_CHECK(x.shape() == Shape{shape_.pairs()}, "[", op, "] expected ", what, " of shape [", shape_.pairs(),
                "], got ", ToString(x.shape()));
}

}  // namespace attnkit::ops
