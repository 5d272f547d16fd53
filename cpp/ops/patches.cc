#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/ops/shape.h"
#include "attnkit/ops/vision.h"

namespace attnkit::ops {

Tensor Patches(const Tensor& x, Pair size) {
  ATTNKIT_CHECK(x.rank() == 4, "[patches] expected x of shape [B, H, W, C], got ", ToString(x.shape()));
  ATTNKIT_CHECK(size[0] >= 1 && size[1] >= 1 && x.dim(1) % size[0] == 0 && x.dim(2) % size[1] == 0,
                "[patches] expected an image of whole patches of ", size[0], " x ", size[1], ", got ", x.dim(1), " x ",
                x.dim(2));
  SizeOf({size[0], size[1], x.dim(3)});  // an image of no pixels has whole patches of any size; theirs must fit
  // [B, rows of patches, lines of a patch, patches of a row, numbers of a line]: only the middle axes change places.
  const int64_t rows = x.dim(1) / size[0], columns = x.dim(2) / size[1], line = size[1] * x.dim(3);
  const Tensor lines = Permute(Reshape(x, {x.dim(0), rows, size[0], columns, line}), {0, 1, 3, 2, 4});
  return Reshape(lines, {x.dim(0) * rows * columns, size[0] * line});
}

}  // namespace attnkit::ops
