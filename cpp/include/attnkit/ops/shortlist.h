// Which target tokens the sentences of a batch may write, and the output layer of those alone.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "attnkit/ops/decoding.h"
#include "attnkit/ops/indices.h"
#include "attnkit/tensor.h"

namespace attnkit::ops {

// What a shortlist has for each source token s: ids[offsets[s]] to ids[offsets[s + 1]], target tokens in any order.
// Those of `always` belong to every sentence.
struct TokenLists {
  Indices offsets, ids, always;
};

// The target tokens of B sentences: those of their source tokens, and of their prefixes, whose tokens are
// ids[offsets[b]] to ids[offsets[b + 1]] of each. A sentence's own tokens are the same in every batch.
//
// A few neighbours share a product, of the union of their tokens. Of a batch the union would be much larger: most
// sentences bring tokens that no other needs.
class Restriction {
 public:
  // vocabulary: of the target. sentences_a_part: that share a product.
  Restriction(const TokenLists& lists, const Indices& source_offsets, const Indices& source_ids,
              const Indices& prefix_offsets, const Indices& prefix_ids, int64_t vocabulary,
              int64_t sentences_a_part = kSentencesAPart);

  int64_t sentences() const { return sentences_; }
  // Of a sentence, rising.
  std::vector<int32_t> TokensOf(int64_t sentence) const;

  // BestTokens over each sentence's own tokens, `sentences` [rows] says whose a row is; indices are of the vocabulary.
  // A token asked for that is not the sentence's own has -inf. weight and bias are those of the whole vocabulary, the
  // same in every call: a part takes its rows of them at the first one.
  void Best(const Tensor& hidden, const Tensor& weight, const Tensor& bias, const BestTokensOptions& options,
            const Indices& sentences, float* values, int32_t* indices, float* asked_values);

  static constexpr int64_t kSentencesAPart = 8;

 private:
  // Sentences [first, first + count): `ids` rising, and allowed [count, ids.size()].
  struct Part {
    int64_t first = 0, count = 0;
    std::vector<int32_t> ids;
    std::vector<uint8_t> allowed;
    std::shared_ptr<const kernels::PackedMatrix> packed;
    Tensor bias;
  };
  struct Answer;
  struct Places;

  Part MakePart(const TokenLists& lists, const Indices& source_offsets, const Indices& source_ids,
                const Indices& prefix_offsets, const Indices& prefix_ids, int64_t first, Places& places) const;
  void BestOfPart(Part& part, const Tensor& hidden, const Tensor& weight, const Tensor& bias,
                  const BestTokensOptions& options, const Indices& sentences, int64_t begin, int64_t end,
                  const Answer& answer) const;

  int64_t vocabulary_, sentences_, sentences_a_part_;
  std::vector<Part> parts_;
};

}  // namespace attnkit::ops
