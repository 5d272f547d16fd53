// The activation of a linear layer, on a block of C that is still in cache.
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm/activation.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/dispatch.h"
#include "kernels/gemm/kernel.h"
#include "kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::gemm::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <Activation kActivation>
void ActivateRow(const float* from, float* to, int64_t size) {
  const hn::ScalableTag<float> d;
  constexpr int64_t kLanes = hn::MaxLanes(d);
  const auto activate = [&](const float* x, float* y) HWY_ATTR {
    hn::StoreU(kernels::HWY_NAMESPACE::Activate<kActivation>(d, hn::LoadU(d, x)), d, y);
  };
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) activate(from + i, to + i);
  if (i == size) return;
  HWY_ALIGN float lanes[kLanes] = {};
  std::memcpy(lanes, from + i, (size - i) * sizeof(float));
  activate(lanes, lanes);
  std::memcpy(to + i, lanes, (size - i) * sizeof(float));
}

using RowFunction = void (*)(const float*, float*, int64_t);

RowFunction RowFunctionFor(Activation activation) {
  switch (activation) {
    case Activation::kNone: return &ActivateRow<Activation::kNone>;
    case Activation::kRelu: return &ActivateRow<Activation::kRelu>;
    case Activation::kGelu: return &ActivateRow<Activation::kGelu>;
    case Activation::kSilu: return &ActivateRow<Activation::kSilu>;
    case Activation::kTanh: return &ActivateRow<Activation::kTanh>;
    case Activation::kSigmoid: return &ActivateRow<Activation::kSigmoid>;
    case Activation::kGeluTanh: return &ActivateRow<Activation::kGeluTanh>;
    case Activation::kQuickGelu: return &ActivateRow<Activation::kQuickGelu>;
  }
  return nullptr;
}

}  // namespace attnkit::kernels::gemm::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels::gemm {

void ActivateBlock(Activation activation, const float* pre, float* c, int64_t row_stride, int64_t rows,
                   int64_t columns) {
  auto* choose = ATTNKIT_DISPATCH(RowFunctionFor);
  const auto activate = choose(activation);
  for (int64_t r = 0; r < rows; ++r) activate(pre + r * row_stride, c + r * row_stride, columns);
}

}  // namespace attnkit::kernels::gemm
#endif  // HWY_ONCE
