// The output layer and the loss of a translator in one op. The logits of a batch are its largest array by far (T x V);
// here a block of rows is multiplied, turned into losses and into its gradient, and multiplied back while it is in
// cache. So the forward pass leaves finished gradients behind, and backward only scales them.
#include <algorithm>

#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/kernels/elementwise.h"
#include "attnkit/kernels/reduce.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/op_scope.h"
#include "attnkit/ops/loss.h"
#include "attnkit/precision.h"

namespace attnkit::ops {
namespace {

// The logits of a block should stay in the last cache, and are never more memory than kMostBytes.
constexpr int64_t kCachedBytes = int64_t{8} << 20, kMostBytes = int64_t{64} << 20;

// Each block passes over the weight and its gradient, V x D, some four times, and over its own logits five times: with
// fewer rows than D the former cost more than logits that leave the cache. Products in float32 take so long that both
// hardly matter, and are the better the more rows they have.
int64_t BlockRows(int64_t vocabulary, int64_t width, kernels::Precision precision) {
  const int64_t row_bytes = std::max<int64_t>(1, vocabulary * static_cast<int64_t>(sizeof(float)));
  const int64_t fewest = precision == kernels::Precision::kFloat32 ? std::max<int64_t>(width, 512) : width;
  const int64_t rows = std::max(kCachedBytes / row_bytes, std::min(fewest, kMostBytes / row_bytes));
  return std::clamp<int64_t>(rows / 32 * 32, 32, 1024);
}

int64_t CountLabels(const Indices& labels, int32_t ignore_index) {
  if (labels.size() && (ignore_index < labels.minimum() || ignore_index > labels.maximum())) return labels.size();
  return labels.size() - std::count(labels.data(), labels.data() + labels.size(), ignore_index);
}

struct Gradients {
  Tensor hidden, weight, bias;
};

// Adds the gradients of rows [begin, begin + rows) given those of their logits.
void AddBlock(const Gradients& gradients, const Tensor& hidden, const Tensor& weight, const float* dlogits,
              int64_t begin, int64_t rows, kernels::Precision precision) {
  const int64_t width = hidden.dim(1), vocabulary = weight.dim(0);
  const bool first = begin == 0;
  if (gradients.hidden) {
    gradients.hidden.kernels().Gemm(dlogits, vocabulary, 1, rows, *weight.Packed(false, precision),
                                    gradients.hidden.data() + begin * width, width, {});
  }
  if (gradients.weight) {
    kernels::Epilogue epilogue;
    epilogue.accumulate = !first;
    hidden.kernels().MatMul(dlogits, 1, vocabulary, hidden.data() + begin * width, width, 1, vocabulary, width, rows,
                            precision, gradients.weight.data(), width, epilogue);
  }
  if (gradients.bias)
    gradients.bias.kernels().ColumnSums(dlogits, rows, vocabulary, vocabulary, !first, gradients.bias.data());
}

void ScaleInPlace(const Tensor& x, const Tensor& scale) {
  if (x) x.kernels().ScaleBy(x.data(), scale.data(), x.size(), x.data());
}

void CheckShapes(const Tensor& hidden, const Tensor& weight, const Tensor& bias, const Indices& labels) {
  ATTNKIT_CHECK(hidden.rank() == 2 && hidden.dim(0) == labels.size(),
                "[linear_cross_entropy] expected hidden of shape [", labels.size(), ", D], got ",
                ToString(hidden.shape()));
  ATTNKIT_CHECK(weight.rank() == 2 && weight.dim(1) == hidden.dim(1),
                "[linear_cross_entropy] expected weight of shape [V, ", hidden.dim(1), "], got ",
                ToString(weight.shape()));
  ATTNKIT_CHECK(!bias || bias.shape() == Shape{weight.dim(0)}, "[linear_cross_entropy] expected bias of shape [",
                weight.dim(0), "], got ", ToString(bias.shape()));
}

}  // namespace

LinearCrossEntropyResult LinearCrossEntropy(const Tensor& hidden, const Tensor& weight, const Tensor& bias,
                                            const Indices& labels, const CrossEntropyOptions& options) {
  const OpScope scope("linear_cross_entropy", {&hidden, &bias}, {&weight});
  CheckShapes(hidden, weight, bias, labels);
  options.Check("linear_cross_entropy");
  const int64_t tokens = hidden.dim(0), width = hidden.dim(1), vocabulary = weight.dim(0);
  const bool record = NeedsGrad({hidden, weight, bias});
  const kernels::Precision precision = WeightPrecision(record);
  const int64_t block = BlockRows(vocabulary, width, precision);
  const bool inside = labels.Within(vocabulary, options.ignore_index);
  const int32_t* label_data = labels.On(hidden.context());

  LinearCrossEntropyResult result;
  result.tokens = CountLabels(labels, options.ignore_index);
  const float scale = result.tokens ? 1.0f / static_cast<float>(result.tokens) : 0.0f;
  Gradients gradients;
  if (record && hidden.requires_grad()) gradients.hidden = hidden.NewZeros(hidden.shape());
  if (record && weight.requires_grad())
    gradients.weight = tokens ? weight.New(weight.shape()) : weight.NewZeros(weight.shape());
  if (record && bias.requires_grad()) gradients.bias = tokens ? bias.New(bias.shape()) : bias.NewZeros(bias.shape());

  const Tensor logits = hidden.New({std::min(block, tokens), vocabulary}), losses = hidden.New({tokens}),
               nlls = hidden.New({tokens});
  kernels::Epilogue epilogue;
  epilogue.bias = bias ? bias.data() : nullptr;
  for (int64_t begin = 0; begin < tokens; begin += block) {
    const int64_t rows = std::min(block, tokens - begin);
    hidden.kernels().Gemm(hidden.data() + begin * width, width, 1, rows, *weight.Packed(true, precision), logits.data(),
                          vocabulary, epilogue);
    logits.kernels().CrossEntropy(logits.data(), label_data + begin, rows, vocabulary, options.label_smoothing,
                                  options.ignore_index, scale, losses.data() + begin, nlls.data() + begin,
                                  record ? logits.data() : nullptr, inside);
    if (record) AddBlock(gradients, hidden, weight, logits.data(), begin, rows, precision);
  }
  result.nll_sum = nlls.kernels().Sum(nlls.data(), tokens);
  result.loss = hidden.New({});
  losses.kernels().SumTo(losses.data(), tokens, scale, result.loss.data());
  if (record) {
    Record("linear_cross_entropy", {hidden, weight, bias}, {&result.loss}, [gradients](std::vector<Tensor>& dy) {
      for (const Tensor& gradient : {gradients.hidden, gradients.weight, gradients.bias}) ScaleInPlace(gradient, dy[0]);
      return std::vector<Tensor>{gradients.hidden, gradients.weight, gradients.bias};
    });
  }
  return result;
}

}  // namespace attnkit::ops
