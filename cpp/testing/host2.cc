#include "testing/host2.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <type_traits>

#include "attnkit/allocator.h"
#include "attnkit/kernels.h"

namespace attnkit {
namespace {

// What is added to the address of a block. No processor of 64 bits maps memory there unless it is asked to.
constexpr uintptr_t kAway = uintptr_t{1} << 50;

std::atomic<int64_t> blocks{0};

// The memory behind an address of the device. Throws std::logic_error for memory of another device.
template <typename T>
T* Behind(T* address) {
  if (!address) return nullptr;
  const auto number = reinterpret_cast<uintptr_t>(address);
  if (!(number & kAway)) throw std::logic_error("[host2] expected memory of host2, got the CPU's");
  return reinterpret_cast<T*>(number - kAway);
}

// ----- An argument of a kernel, with the addresses of the device in it made readable.

template <typename T>
std::enable_if_t<!std::is_pointer_v<T>, const T&> Reach(const T& value) {
  return value;
}
template <typename T>
T* Reach(T* address) {
  return Behind(address);
}

kernels::Epilogue Reach(kernels::Epilogue epilogue) {
  epilogue.bias = Behind(epilogue.bias);
  epilogue.pre_activation = Behind(epilogue.pre_activation);
  return epilogue;
}

kernels::MatrixBatch Reach(kernels::MatrixBatch matrices) {
  matrices.data = Behind(matrices.data);
  return matrices;
}

kernels::AttentionShape Reach(kernels::AttentionShape shape) {
  shape.mask = Behind(static_cast<const char*>(shape.mask));
  return shape;
}

kernels::SoftmaxRows Reach(kernels::SoftmaxRows rows) { return {Behind(rows.maximum), Behind(rows.log_sum)}; }

kernels::StepAttention Reach(kernels::StepAttention step) {
  step.query = Behind(step.query);
  step.bias = Behind(step.bias);
  step.output = Behind(step.output);
  step.weights = Behind(step.weights);
  return step;
}

kernels::SharedKeys Reach(kernels::SharedKeys keys) {
  keys.data = Behind(keys.data);
  return keys;
}

// The table of blocks is the host's, the blocks are not.
struct ReachedBlocks {
  std::vector<const float*> blocks;
  kernels::CachedKeys keys;
  operator const kernels::CachedKeys&() const { return keys; }
};
ReachedBlocks Reach(const kernels::CachedKeys& keys) {
  ReachedBlocks reached{{}, keys};
  for (int64_t j = 0; j < keys.count; ++j) reached.blocks.push_back(Behind(keys.blocks[j]));
  reached.keys.blocks = reached.blocks.data();
  return reached;
}

std::vector<kernels::MuonWeight> Reach(std::vector<kernels::MuonWeight> weights) {
  for (kernels::MuonWeight& weight : weights) {
    weight.gradient = Behind(weight.gradient);
    weight.parameter = Behind(weight.parameter);
    weight.momentum = Behind(weight.momentum);
  }
  return weights;
}

// Offsets are the host's, windows are not.
kernels::RaggedShape Reach(kernels::RaggedShape shape) {
  shape.begins = Behind(shape.begins);
  shape.ends = Behind(shape.ends);
  return shape;
}

kernels::AdditiveScore Reach(kernels::AdditiveScore score) {
  for (const float** numbers : {&score.query, &score.key, &score.v, &score.coverage, &score.w})
    *numbers = Behind(*numbers);
  return score;
}

kernels::AdditiveGradients Reach(kernels::AdditiveGradients gradients) {
  for (float** numbers : {&gradients.dquery, &gradients.dkey, &gradients.dv, &gradients.dcoverage, &gradients.dw})
    *numbers = Behind(*numbers);
  return gradients;
}

kernels::RecurrentForwardCall Reach(kernels::RecurrentForwardCall call) {
  for (const float** numbers : {&call.projected, &call.bias, &call.initial_state, &call.initial_cell})
    *numbers = Behind(*numbers);
  for (float** numbers : {&call.output, &call.final_state, &call.final_cell, &call.gates, &call.kept})
    *numbers = Behind(*numbers);
  return call;
}

kernels::RecurrentBackwardCall Reach(kernels::RecurrentBackwardCall call) {
  for (const float** numbers :
       {&call.initial_state, &call.initial_cell, &call.output, &call.doutput, &call.dfinal_state, &call.dfinal_cell})
    *numbers = Behind(*numbers);
  for (float** numbers : {&call.gates, &call.kept, &call.dinitial_state, &call.dinitial_cell})
    *numbers = Behind(*numbers);
  return call;
}

kernels::SsruForwardCall Reach(kernels::SsruForwardCall call) {
  for (const float** numbers : {&call.projected, &call.bias, &call.initial}) *numbers = Behind(*numbers);
  for (float** numbers : {&call.output, &call.final, &call.forget, &call.cells}) *numbers = Behind(*numbers);
  return call;
}

kernels::SsruBackwardCall Reach(kernels::SsruBackwardCall call) {
  for (const float** numbers : {&call.projected, &call.initial, &call.forget, &call.cells, &call.doutput, &call.dfinal})
    *numbers = Behind(*numbers);
  for (float** numbers : {&call.dprojected, &call.dinitial}) *numbers = Behind(*numbers);
  return call;
}

kernels::BatchNormColumns Reach(const kernels::BatchNormColumns& norm) {
  return {Behind(norm.mean), Behind(norm.rstd), Behind(norm.weight), Behind(norm.bias)};
}

// ----- The table.

// A slot's own function: the CPU's, on what its arguments reach.
template <auto kCpu>
struct Reached;
template <typename Result, typename... Arguments, Result (*kCpu)(Arguments...)>
struct Reached<kCpu> {
  static Result Run(Arguments... arguments) { return kCpu(Reach(arguments)...); }
};

template <auto kCpu>
void Take(kernels::Kernel<kCpu>& slot) {
  slot = &Reached<kCpu>::Run;
}

// Its results, and what is asked for, are the host's.
void BestTokens(const float* hidden, int64_t rows, const kernels::PackedMatrix& weight, const float* bias, int64_t k,
                const kernels::AskedTokens& asked, const kernels::AllowedTokens& allowed, float* values,
                int32_t* indices, float* asked_values) {
  kernels::BestTokens(Behind(hidden), rows, weight, Behind(bias), k, asked, allowed, values, indices, asked_values);
}

const Kernels& Host2Kernels() {
  static Kernels& k = *new Kernels("host2");
  Take(k.Fill);
  Take(k.Copy);
  Take(k.CopyRows);
  Take(k.CopyStrided);
  Take(k.GatherRows);
  Take(k.ScatterRows);
  Take(k.AddToRows);
  Take(k.FillRows);
  Take(k.GatherWidened);
  Take(k.Dequantize);
  Take(k.GatherBytes);
  Take(k.Widen);
  Take(k.Round);
  Take(k.Sum);
  Take(k.SumOfSquares);
  Take(k.AllFinite);
  Take(k.CountNan);
  Take(k.SumTo);
  Take(k.SumAxis);
  Take(k.Add);
  Take(k.Subtract);
  Take(k.Multiply);
  Take(k.Divide);
  Take(k.Axpy);
  Take(k.Scale);
  Take(k.ScaleBy);
  Take(k.ScaleRows);
  Take(k.UnaryForward);
  Take(k.UnaryBackward);
  Take(k.ActivationBackward);
  Take(k.Dropout);
  Take(k.AddDropout);
  Take(k.PackMatrix);
  Take(k.PackBFloat16);
  Take(k.PackQuantized);
  Take(k.Gemm);
  Take(k.MatMul);
  Take(k.MatMuls);
  Take(k.SoftmaxForward);
  Take(k.SoftmaxBackward);
  Take(k.LogSoftmaxForward);
  Take(k.LogSoftmaxBackward);
  Take(k.AddDropoutLayerNormForward);
  Take(k.AddDropoutLayerNormBackward);
  Take(k.CrossEntropy);
  Take(k.EmbeddingForward);
  Take(k.EmbeddingBackward);
  Take(k.ColumnSums);
  Take(k.AttentionForward);
  Take(k.SpreadPositionBias);
  Take(k.GatherPositionBias);
  Take(k.AttentionBackward);
  Take(k.AttendToCache);
  Take(k.AttendToMemory);
  Take(k.AdamStep);
  Take(k.MuonStep);
  Take(k.RaggedDots);
  Take(k.RaggedSums);
  Take(k.RaggedTransposedSums);
  Take(k.RaggedAdditiveScores);
  Take(k.RaggedAdditiveBackward);
  Take(k.RaggedSoftmax);
  Take(k.RaggedSoftmaxBackward);
  Take(k.RaggedGaussian);
  Take(k.RaggedGaussianBackward);
  Take(k.RaggedChainMarginals);
  Take(k.RaggedChainBackward);
  Take(k.RaggedArgmax);
  Take(k.RaggedSample);
  Take(k.UnitRowsForward);
  Take(k.UnitRowsBackward);
  Take(k.RecurrentForward);
  Take(k.RecurrentBackward);
  Take(k.PreviousStates);
  Take(k.SsruForward);
  Take(k.SsruBackward);
  Take(k.Conv2dForward);
  Take(k.Conv2dInputGradient);
  Take(k.Conv2dWeightGradient);
  Take(k.WinogradForward);
  Take(k.WinogradInputGradient);
  Take(k.WinogradWeightGradient);
  Take(k.DepthwiseForward);
  Take(k.DepthwiseInputGradient);
  Take(k.DepthwiseWeightGradient);
  Take(k.MaxPoolForward);
  Take(k.MaxPoolBackward);
  Take(k.AveragePoolForward);
  Take(k.AveragePoolBackward);
  Take(k.ColumnMoments);
  Take(k.MoveTowards);
  Take(k.InverseDeviation);
  Take(k.BatchNormForward);
  Take(k.BatchNormBackward);
  Take(k.ScaleChannels);
  Take(k.ScaleChannelsGateGradient);
  Take(k.AddScaledSequences);
  k.BestTokens = &BestTokens;
  return k;
}

class Host2Context final : public Context {
 public:
  Host2Context() : Context(Host2Kernels()) {}

  void* Allocate(size_t bytes) const override {
    if (bytes > kMostBytes) throw std::bad_alloc();
    const size_t rounded = (bytes + kBlockAlignment - 1) / kBlockAlignment * kBlockAlignment;
    void* block = std::aligned_alloc(kBlockAlignment, rounded ? rounded : kBlockAlignment);
    if (!block) throw std::bad_alloc();
    std::memset(block, 0xff, rounded);  // NaN, as fresh memory of a device may hold
    ++blocks;
    return static_cast<char*>(block) + kAway;
  }
  void Free(void* block, size_t) const noexcept override {
    std::free(static_cast<char*>(block) - kAway);
    --blocks;
  }
  void CopyFromHost(const void* host, size_t bytes, void* to) const override {
    if (bytes) std::memcpy(Behind(static_cast<char*>(to)), host, bytes);
  }
  void CopyToHost(const void* from, size_t bytes, void* host) const override {
    if (bytes) std::memcpy(host, Behind(static_cast<const char*>(from)), bytes);
  }
};

}  // namespace

const Context& Host2() {
  static const Context& host2 = []() -> const Context& {
    const Context* made = new Host2Context;
    RegisterContext(*made);
    return *made;
  }();
  return host2;
}

int64_t Host2Blocks() { return blocks; }

}  // namespace attnkit
