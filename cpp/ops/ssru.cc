#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/kernels/recurrent.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/op_scope.h"
#include "attnkit/ops/recurrent.h"
#include "ops/offsets.h"
#include "ops/optional.h"

namespace attnkit::ops {
namespace {

// What backward reads.
struct Saved {
  Indices offsets;
  kernels::SsruShape shape;
  Tensor projected, initial, forget, cells;
  bool need_initial, need_bias;
};

// In the order of the inputs: projected, bias, state.
std::vector<Tensor> SsruBackward(const Saved& s, const Tensor& doutput, const Tensor& dfinal) {
  const int64_t hidden = s.shape.hidden;
  Tensor dprojected = s.projected.New(s.projected.shape()), dbias, dinitial;
  if (s.need_initial) dinitial = s.initial.New(s.initial.shape());
  const Kernels& k = s.projected.kernels();
  k.SsruBackward({s.shape, s.projected.data(), DataOrNull(s.initial), s.forget.data(), s.cells.data(),
                  DataOrNull(doutput), DataOrNull(dfinal), dprojected.data(), DataOrNull(dinitial)});
  if (s.need_bias) {
    dbias = s.projected.New({hidden});
    k.ColumnSums(dprojected.data(), s.shape.tokens(), hidden, 2 * hidden, false, dbias.data());
  }
  return {dprojected, dbias, dinitial};
}

}  // namespace

SsruResult Ssru(const Tensor& projected, const Tensor& bias, const Indices& offsets, const Tensor& state) {
  const OpScope scope("ssru", {&projected, &bias, &state});
  ATTNKIT_CHECK(bias.rank() == 1 && bias.dim(0) > 0, "[ssru] expected bias of shape [H], got ", ToString(bias.shape()));
  const int64_t hidden = bias.dim(0);
  ATTNKIT_CHECK(projected.rank() == 2 && projected.dim(1) == 2 * hidden, "[ssru] expected projected of shape [T, ",
                2 * hidden, "], got ", ToString(projected.shape()));
  CheckOffsets("ssru", "offsets", offsets, projected.dim(0));
  const kernels::SsruShape shape{offsets.size() - 1, hidden, offsets.data()};
  const Shape states{shape.batch, hidden};
  ATTNKIT_CHECK(!state || state.shape() == states, "[ssru] expected state of shape ", ToString(states), ", got ",
                ToString(state.shape()));
  const bool record = NeedsGrad({projected, bias, state});
  const Shape tokens{projected.dim(0), hidden};
  SsruResult result{projected.New(tokens), projected.New(states)};
  Saved saved{offsets, shape, projected.Detach(),    state ? state.Detach() : Tensor(),
              {},      {},    state.requires_grad(), bias.requires_grad()};
  if (record) saved.forget = projected.New(tokens), saved.cells = projected.New(tokens);
  projected.kernels().SsruForward({shape, projected.data(), bias.data(), DataOrNull(state), result.output.data(),
                                   result.state.data(), DataOrNull(saved.forget), DataOrNull(saved.cells)});
  if (record) {
    Record("ssru", {projected, bias, state}, {&result.output, &result.state},
           [saved](std::vector<Tensor>& dy) { return SsruBackward(saved, dy[0], dy[1]); });
  }
  return result;
}

}  // namespace attnkit::ops
