#include <cstring>

#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/ops/vision.h"
#include "attnkit/threads.h"

namespace attnkit::ops {
namespace {

struct PatchShape {
  int64_t batch, rows, columns;  // of patches
  int64_t lines, line;           // of a patch: image rows, and numbers in each
  int64_t patch() const { return lines * line; }
};

// Calls copy(place in the image, place in the patches) for every line of every patch.
template <typename Copy>
void ForLines(const PatchShape& s, const Copy& copy) {
  constexpr int64_t kGrainNumbers = 64 * 1024;
  const int64_t band = s.columns * s.patch();  // of patches side by side
  ParallelFor(s.batch * s.rows, std::max<int64_t>(1, kGrainNumbers / std::max<int64_t>(1, band)),
              [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; ++i) {
                  for (int64_t l = 0; l < s.lines; ++l) {
                    for (int64_t c = 0; c < s.columns; ++c) {
                      copy(i * band + (l * s.columns + c) * s.line, i * band + c * s.patch() + l * s.line);
                    }
                  }
                }
              });
}

}  // namespace

Tensor Patches(const Tensor& x, Pair size) {
  ATTNKIT_CHECK(x.rank() == 4, "[patches] expected x of shape [B, H, W, C], got ", ToString(x.shape()));
  ATTNKIT_CHECK(size[0] >= 1 && size[1] >= 1 && x.dim(1) % size[0] == 0 && x.dim(2) % size[1] == 0,
                "[patches] expected an image of whole patches of ", size[0], " x ", size[1], ", got ", x.dim(1), " x ",
                x.dim(2));
  SizeOf({size[0], size[1], x.dim(3)});  // an image of no pixels has whole patches of any size; theirs must fit
  const PatchShape shape{x.dim(0), x.dim(1) / size[0], x.dim(2) / size[1], size[0], size[1] * x.dim(3)};
  Tensor out({shape.batch * shape.rows * shape.columns, shape.patch()});
  ForLines(shape, [&](int64_t image, int64_t patches) {
    std::memcpy(out.data() + patches, x.data() + image, shape.line * sizeof(float));
  });
  if (NeedsGrad({x})) {
    Record("patches", {x}, {&out}, [shape, before = x.shape()](std::vector<Tensor>& dy) {
      Tensor dx(before);
      ForLines(shape, [&](int64_t image, int64_t patches) {
        std::memcpy(dx.data() + image, dy[0].data() + patches, shape.line * sizeof(float));
      });
      return std::vector<Tensor>{dx};
    });
  }
  return out;
}

}  // namespace attnkit::ops
