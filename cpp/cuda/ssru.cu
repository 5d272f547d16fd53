// The simpler simple recurrent unit of attnkit/kernels/recurrent.h on CUDA: a thread takes a number of a sentence's
// state, which reads no other, through all tokens.
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/scratch.h"

namespace attnkit::cuda {
namespace {

struct ForwardBody {
  const int32_t* offsets;
  int64_t hidden;
  const float *projected, *bias, *initial;
  float *output, *final, *forget, *cells;
  __device__ void operator()(int64_t i) const {
    const int64_t b = i / hidden, h = i % hidden, end = offsets[b + 1];
    const float shift = bias[h];
    float cell = initial ? initial[i] : 0.0f;
    for (int64_t t = offsets[b]; t < end; ++t) {
      const float f = 1.0f / (1.0f + expf(-(projected[2 * t * hidden + h] + shift)));
      const float candidate = projected[(2 * t + 1) * hidden + h];
      const int64_t at = t * hidden + h;
      cell = f * (cell - candidate) + candidate;
      output[at] = cell > 0.0f ? cell : 0.0f;
      if (forget) forget[at] = f;
      if (cells) cells[at] = cell;
    }
    if (final) final[i] = cell;
  }
};

struct BackwardBody {
  const int32_t* offsets;
  int64_t hidden;
  const float *projected, *initial, *forget, *cells, *doutput, *dfinal;
  float *dprojected, *dinitial;
  __device__ void operator()(int64_t i) const {
    const int64_t b = i / hidden, h = i % hidden, begin = offsets[b];
    float later = dfinal ? dfinal[i] : 0.0f;  // what reaches the cell from the tokens behind
    for (int64_t t = offsets[b + 1] - 1; t >= begin; --t) {
      const int64_t at = t * hidden + h;
      const float f = forget[at], candidate = projected[(2 * t + 1) * hidden + h];
      const float previous = t > begin ? cells[at - hidden] : initial ? initial[i] : 0.0f;
      const float dcell = doutput && cells[at] > 0.0f ? later + doutput[at] : later;
      later = dcell * f;
      dprojected[2 * t * hidden + h] = dcell * (previous - candidate) * (f - f * f);
      dprojected[(2 * t + 1) * hidden + h] = dcell - later;
    }
    if (dinitial) dinitial[i] = later;
  }
};
}  // namespace

void SsruForward(const kernels::SsruForwardCall& call) {
  const kernels::SsruShape& shape = call.shape;
  const Uploaded<int32_t> offsets(shape.offsets, shape.batch + 1);
  ForEach(shape.batch * shape.hidden, ForwardBody{offsets.data(), shape.hidden, call.projected, call.bias, call.initial,
                                                  call.output, call.final, call.forget, call.cells});
}

void SsruBackward(const kernels::SsruBackwardCall& call) {
  const kernels::SsruShape& shape = call.shape;
  const Uploaded<int32_t> offsets(shape.offsets, shape.batch + 1);
  ForEach(shape.batch * shape.hidden,
          BackwardBody{offsets.data(), shape.hidden, call.projected, call.initial, call.forget, call.cells,
                       call.doutput, call.dfinal, call.dprojected, call.dinitial});
}

}  // namespace attnkit::cuda
