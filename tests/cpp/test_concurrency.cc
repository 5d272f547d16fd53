// Threads that share a model, as workers that decode do, and threads that train side by side: each must compute what it
// computes alone. Under ThreadSanitizer these cases look for races; elsewhere they compare bytes.
#include <stdexcept>
#include <string>

#include "attnkit/allocator.h"
#include "attnkit/autograd.h"
#include "attnkit/kernels/optimizer.h"
#include "attnkit/kernels/reduce.h"
#include "attnkit/ops/decoding.h"
#include "attnkit/ops/ragged.h"
#include "attnkit/ops/recurrent.h"
#include "attnkit/ops/vision.h"
#include "attnkit/precision.h"
#include "support.h"

namespace attnkit {
namespace {

using kernels::Activation;
using kernels::Precision;
using ops::Indices;
using testing::Random;

constexpr int kCallers = 3;
constexpr Precision kPrecisions[] = {Precision::kFloat32, Precision::kBFloat16, Precision::kInt8};

// The precision of this thread while it lives.
class PrecisionScope {
 public:
  explicit PrecisionScope(Precision precision) : before_(MatmulPrecision()) { SetMatmulPrecision(precision); }
  ~PrecisionScope() { SetMatmulPrecision(before_); }

 private:
  Precision before_;
};

using Results = std::vector<Tensor>;

void RequireSame(const Results& expected, const Results& results) {
  if (expected.size() != results.size()) throw std::runtime_error("another number of results");
  for (size_t i = 0; i < expected.size(); ++i) {
    if (!testing::SameBytes(expected[i], results[i]))
      throw std::runtime_error("result " + std::to_string(i) + " differs");
  }
}

// work(0), work(1), ... alone, then in kCallers threads at once, twice: the results must be the same.
template <typename Work>
void CheckSideBySide(const Work& work) {
  std::vector<Results> alone;
  for (int caller = 0; caller < kCallers; ++caller) alone.push_back(work(caller));
  testing::InThreads(kCallers, [&](int caller) {
    for (int round = 0; round < 2; ++round) RequireSame(alone[caller], work(caller));
  });
}

// --- decoding

constexpr int64_t kWidth = 64, kHeads = 4, kFeedForward = 96, kVocabulary = 300;

// The weights that all workers read. They are packed by whoever needs them first.
struct Weights {
  Weights() {
    auto projection = [seed = 0u](int64_t out, int64_t in) mutable {
      return ops::DecoderStack::Projection{Random({out, in}, ++seed), Random({out}, ++seed), nullptr};
    };
    const ops::DecoderStack::Norm norm{Random({kWidth}, 50), Random({kWidth}, 51)};
    for (int i = 0; i < 2; ++i) {
      layers.push_back({norm,
                        projection(3 * kWidth, kWidth),
                        projection(kWidth, kWidth),
                        {},  // no SSRU
                        norm,
                        projection(kWidth, kWidth),
                        projection(kWidth, kWidth),
                        norm,
                        projection(kFeedForward, kWidth),
                        projection(kWidth, kFeedForward),
                        {}});
      key_values.push_back(Random({2 * kWidth, kWidth}, 60 + i));
    }
  }
  std::vector<ops::DecoderStack::Layer> layers;
  std::vector<Tensor> key_values;
  Tensor table = Random({kVocabulary, kWidth}, 70);
};

// Ten greedy steps of two sentences, the first in two hypotheses: the hidden states.
Results Write(const Weights& weights, int sentence) {
  const NoGrad no_grad;
  const ops::DecoderStack stack(weights.layers, {}, true, kHeads, Activation::kRelu);
  const Tensor memory = Random({14, kWidth}, 100 + sentence);
  std::vector<Tensor> key_values;
  for (const Tensor& weight : weights.key_values)
    key_values.push_back(ops::Linear(memory, weight, Tensor(), Activation::kNone));
  ops::DecoderState state(std::move(key_values), Indices({0, 5, 14}));
  state.Select(Indices({0, 0, 1}));
  std::vector<int32_t> tokens{1, 2, 3};
  Results hidden;
  for (int step = 0; step < 10; ++step) {
    const Tensor x = ops::Embedding(Indices(tokens), weights.table, 1.0f, Tensor(), Indices(), 0.0f);
    hidden.push_back(stack.Step(x, state, nullptr));
    ops::BestTokensOptions best;
    best.asked_offsets = Indices({0, 0, 0, 0});
    best.asked_ids = Indices(std::vector<int32_t>{});
    std::vector<float> values(3);
    ops::BestTokens(hidden.back(), weights.table, Tensor(), best, values.data(), tokens.data(), nullptr);
    if (step == 4) state.Select(Indices({1, 0, 2}));
  }
  return hidden;
}

TEST_CASE("concurrency: workers of one thread each share a model") {
  for (const Precision precision : kPrecisions) {
    CAPTURE(static_cast<int>(precision));
    const Weights shared;
    std::vector<Results> alone;
    for (int sentence = 0; sentence < kCallers; ++sentence) {
      const PrecisionScope scope(precision);
      alone.push_back(Write(Weights(), sentence));  // so that the shared weights are packed by the workers
    }
    testing::InThreads(kCallers, [&](int sentence) {
      LimitThreadsHere(1);
      const PrecisionScope scope(precision);
      for (int round = 0; round < 2; ++round) RequireSame(alone[sentence], Write(shared, sentence));
      TrimCache();
    });
  }
}

TEST_CASE("concurrency: one matrix is packed by many threads at once") {
  const Tensor x = Random({9, 128}, 1), w = Random({200, 128}, 2);
  const Tensor expected = ops::Linear(x, w, Tensor(), Activation::kGelu);
  for (int round = 0; round < 20; ++round) {
    w.storage().Touch();  // as after a step of an optimizer: the packed copy is stale
    testing::InThreads(4, [&](int) {
      w.Packed(true, Precision::kFloat32);  // first of all, before anything else could order the threads
      RequireSame({expected}, {ops::Linear(x, w, Tensor(), Activation::kGelu)});
    });
  }
}

// --- kernels that are parallel themselves, called from several threads

struct Layers {
  Tensor w = Random({160, 96}, 1), bias = Random({160}, 2), convolution = Random({24, 3, 3, 8}, 3);
  Tensor gru = Random({3 * 40, 40}, 4), lstm = Random({2 * 4 * 24, 24}, 5);
};

Results Infer(const Layers& layers, int caller) {
  const NoGrad no_grad;
  const unsigned seed = 10 * caller;
  const Indices offsets({0, 40, 40, 90, 150});
  const Tensor x = ops::Linear(Random({300, 96}, seed), layers.w, layers.bias, Activation::kGelu);
  const Tensor heads = Random({2, 4, 90, 32}, seed + 1);
  const Tensor image = Random({2, 20, 20, 8}, seed + 2);
  return {ops::Softmax(x), ops::Attention(heads, heads, heads, {}).output,
          ops::MaxPool2d(ops::Conv2d(image, layers.convolution, Tensor(), {}), {{2, 2}, {2, 2}}),
          ops::Recurrent(kernels::RecurrentCell::kGru, ops::Direction::kForward, Random({150, 120}, seed + 3),
                         layers.gru, Tensor(), offsets, Tensor(), Tensor())
              .output,
          ops::Recurrent(kernels::RecurrentCell::kLstm, ops::Direction::kBoth, Random({150, 192}, seed + 4),
                         layers.lstm, Tensor(), offsets, Tensor(), Tensor())
              .output};
}

TEST_CASE("concurrency: parallel kernels are called from several threads") {
  const testing::ThreadScope threads(4);
  const Layers layers;
  for (const Precision precision : kPrecisions) {
    CAPTURE(static_cast<int>(precision));
    CheckSideBySide([&](int caller) {
      const PrecisionScope scope(precision);
      return Infer(layers, caller);
    });
  }
}

// --- training

// Two steps of one layer of a language model; the weights at the end.
Results Train(int caller, float dropout) {
  const unsigned seed = 10 * caller;
  const Indices ids({5, 3, 8, 0, 1, 1, 2, 7, 9, 4}), labels({3, 8, 0, 1, 1, 2, 7, 9, 4, 6}), offsets({0, 3, 3, 10});
  Results parameters{Random({40, 64}, seed, true), Random({192, 64}, seed + 1, true), Random({64, 64}, seed + 2, true),
                     Random({64}, seed + 3, true), Random({64}, seed + 4, true)};
  const auto& [table, projection, w, scale, shift] =
      std::tie(parameters[0], parameters[1], parameters[2], parameters[3], parameters[4]);
  for (int step = 1; step <= 2; ++step) {
    const Tensor x = ops::Embedding(ids, table, 1.0f, Tensor(), Indices(), dropout);
    const ops::AddNorm norm = ops::AddDropoutLayerNorm(x, x, scale, shift, dropout, 1e-5f);
    ops::AttentionOptions options;
    options.causal = true;
    options.dropout = dropout;
    const Tensor qkv = ops::Linear(norm.normed, projection, Tensor(), Activation::kNone);
    const Tensor attended = ops::PackedAttention(qkv, Tensor(), Tensor(), offsets, offsets, 4, 4, options).output;
    const Tensor hidden = ops::Linear(ops::Add(attended, norm.sum), w, Tensor(), Activation::kGelu);
    Backward(ops::LinearCrossEntropy(hidden, table, Tensor(), labels, {0.1f, -100}).loss, Tensor());
    for (Tensor& parameter : parameters) {
      std::vector<float> moment1(parameter.size()), moment2(parameter.size());
      kernels::AdamOptions adam;
      adam.step = step;
      kernels::AdamStep(adam, parameter.grad().data(), parameter.size(), parameter.data(), moment1.data(),
                        moment2.data());
      parameter.storage().Touch();
      parameter.set_grad(Tensor());
    }
  }
  return parameters;
}

TEST_CASE("concurrency: threads train side by side") {
  const testing::ThreadScope threads(4);
  for (const Precision precision : {Precision::kFloat32, Precision::kBFloat16}) {
    CAPTURE(static_cast<int>(precision));
    CheckSideBySide([&](int caller) {
      const PrecisionScope scope(precision);
      return Train(caller, 0.0f);
    });
  }
}

TEST_CASE("concurrency: threads that train draw from one generator") {
  const testing::ThreadScope threads(4);
  testing::InThreads(kCallers, [](int caller) {  // which numbers each gets depends on who is first
    for (const Tensor& parameter : Train(caller, 0.2f)) {
      if (!kernels::AllFinite(parameter.data(), parameter.size())) throw std::runtime_error("not finite");
    }
  });
}

// Backward of one piece of what a model may be made of; the gradients of its inputs.
Results GradientsOfImages(int caller) {
  const unsigned seed = 10 * caller;
  Results leaves{Random({4, 14, 14, 8}, seed, true), Random({16, 3, 3, 8}, seed + 1, true),
                 Random({16, 3, 3, 1}, seed + 2, true)};
  ops::Conv2dOptions depthwise;
  depthwise.padding = {1, 1};
  depthwise.groups = 16;
  const Tensor y = ops::Conv2d(ops::Conv2d(leaves[0], leaves[1], Tensor(), {}), leaves[2], Tensor(), depthwise);
  Backward(ops::SumAll(ops::MaxPool2d(y, {{2, 2}, {2, 2}})), Tensor());
  for (Tensor& leaf : leaves) leaf = leaf.grad();
  return leaves;
}

Results GradientsOfSequences(int caller) {
  const unsigned seed = 10 * caller;
  const Indices offsets({0, 30, 31, 31, 80});
  Results leaves{Random({80, 2 * 4 * 24}, seed, true), Random({2 * 4 * 24, 24}, seed + 1, true),
                 Random({80, 48}, seed + 2, true), Random({48}, seed + 3, true)};
  const Tensor memory = ops::Recurrent(kernels::RecurrentCell::kLstm, ops::Direction::kBoth, leaves[0], leaves[1],
                                       Tensor(), offsets, Tensor(), Tensor())
                            .output;
  const ops::RaggedOffsets ragged{offsets, offsets};
  const Tensor scores = ops::RaggedAdditive(leaves[2], memory, leaves[3], Tensor(), Tensor(), ragged);
  const Tensor weights = ops::RaggedSoftmax(scores, ragged);
  Backward(ops::SumAll(ops::RaggedSums(weights, memory, ragged)), Tensor());
  for (Tensor& leaf : leaves) leaf = leaf.grad();
  return leaves;
}

TEST_CASE("concurrency: backward runs in several threads") {
  const testing::ThreadScope threads(4);
  CheckSideBySide(&GradientsOfImages);
  CheckSideBySide(&GradientsOfSequences);
}

}  // namespace
}  // namespace attnkit
