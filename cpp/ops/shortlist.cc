#include "attnkit/ops/shortlist.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "attnkit/allocator.h"
#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/op_scope.h"
#include "attnkit/ops/shape.h"
#include "attnkit/precision.h"
#include "hwy/base.h"
#include "ops/best_tokens.h"
#include "ops/offsets.h"

namespace attnkit::ops {

struct Restriction::Answer {
  float* values;
  int32_t* indices;
  float* asked_values;
};

// A set of tokens, and the place of each among them.
struct Restriction::Places {
  explicit Places(int64_t vocabulary) : of(vocabulary), members((vocabulary + 63) / 64) {}

  void Add(int32_t token) { members[token / 64] |= uint64_t{1} << (token % 64); }

  // The tokens, rising, which then have their places; the set is empty again.
  std::vector<int32_t> Number() {
    std::vector<int32_t> tokens;
    for (size_t word = 0; word < members.size(); ++word) {
      for (uint64_t left = std::exchange(members[word], 0); left; left &= left - 1) {
        const auto token = static_cast<int32_t>(64 * word + hwy::Num0BitsBelowLS1Bit_Nonzero64(left));
        of[token] = static_cast<int32_t>(tokens.size());
        tokens.push_back(token);
      }
    }
    return tokens;
  }

  Buffer<int32_t> of;
  std::vector<uint64_t> members;
};

Restriction::Restriction(const TokenLists& lists, const Indices& source_offsets, const Indices& source_ids,
                         const Indices& prefix_offsets, const Indices& prefix_ids, int64_t vocabulary,
                         int64_t sentences_a_part)
    : vocabulary_(vocabulary), sentences_(source_offsets.size() - 1), sentences_a_part_(sentences_a_part) {
  CheckOffsets("shortlist", "offsets", lists.offsets, lists.ids.size());
  CheckOffsets("shortlist", "source_offsets", source_offsets, source_ids.size());
  CheckOffsets("shortlist", "prefix_offsets", prefix_offsets, prefix_ids.size());
  ATTNKIT_CHECK(prefix_offsets.size() == source_offsets.size(), "[shortlist] expected a prefix for each of ",
                sentences_, " sentences, got ", prefix_offsets.size() - 1);
  ATTNKIT_CHECK(sentences_a_part >= 1, "[shortlist] expected parts of a sentence or more, got ", sentences_a_part);
  CheckRows("shortlist", source_ids, lists.offsets.size() - 1);
  for (const Indices* targets : {&lists.ids, &lists.always, &prefix_ids}) CheckRows("shortlist", *targets, vocabulary);
  Places places(vocabulary);
  for (int64_t first = 0; first < sentences_; first += sentences_a_part) {
    parts_.push_back(MakePart(lists, source_offsets, source_ids, prefix_offsets, prefix_ids, first, places));
  }
}

Restriction::Part Restriction::MakePart(const TokenLists& lists, const Indices& source_offsets,
                                        const Indices& source_ids, const Indices& prefix_offsets,
                                        const Indices& prefix_ids, int64_t first, Places& places) const {
  Part part;
  part.first = first;
  part.count = std::min(sentences_a_part_, sentences_ - first);
  const auto tokens_of = [&](int64_t sentence, auto visit) {
    for (int64_t i = 0; i < lists.always.size(); ++i) visit(lists.always[i]);
    for (int32_t i = prefix_offsets[sentence]; i < prefix_offsets[sentence + 1]; ++i) visit(prefix_ids[i]);
    for (int32_t i = source_offsets[sentence]; i < source_offsets[sentence + 1]; ++i) {
      const int32_t token = source_ids[i];
      for (int32_t j = lists.offsets[token]; j < lists.offsets[token + 1]; ++j) visit(lists.ids[j]);
    }
  };
  for (int64_t s = first; s < first + part.count; ++s) tokens_of(s, [&](int32_t token) { places.Add(token); });
  part.ids = places.Number();
  part.allowed.resize(part.count * part.ids.size());
  for (int64_t s = first; s < first + part.count; ++s) {
    uint8_t* own = part.allowed.data() + (s - first) * part.ids.size();
    tokens_of(s, [&](int32_t token) { own[places.of[token]] = 1; });
  }
  return part;
}

std::vector<int32_t> Restriction::TokensOf(int64_t sentence) const {
  ATTNKIT_CHECK(sentence >= 0 && sentence < sentences_, "[shortlist] expected a sentence below ", sentences_, ", got ",
                sentence);
  const Part& part = parts_[sentence / sentences_a_part_];
  const uint8_t* allowed = part.allowed.data() + (sentence - part.first) * part.ids.size();
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < part.ids.size(); ++i) {
    if (allowed[i]) tokens.push_back(part.ids[i]);
  }
  return tokens;
}

void Restriction::Best(const Tensor& hidden, const Tensor& weight, const Tensor& bias, const BestTokensOptions& options,
                       const Indices& sentences, float* values, int32_t* indices, float* asked_values) {
  const OpScope scope("best_tokens", {&hidden, &bias}, {&weight});
  CheckOutputLayer(hidden, weight, bias, options);
  const int64_t rows = hidden.dim(0);
  ATTNKIT_CHECK(weight.dim(0) == vocabulary_, "[shortlist] expected weight [", vocabulary_, ", D], got ",
                ToString(weight.shape()));
  ATTNKIT_CHECK(sentences.size() == rows && sentences.Within(sentences_), "[shortlist] expected for each of ", rows,
                " rows a sentence below ", sentences_);
  // Rows of one part are neighbours, as the search keeps them.
  for (int64_t begin = 0, end; begin < rows; begin = end) {
    const int64_t part = sentences[begin] / sentences_a_part_;
    for (end = begin; end < rows && sentences[end] / sentences_a_part_ == part;) ++end;
    BestOfPart(parts_[part], hidden, weight, bias, options, sentences, begin, end, {values, indices, asked_values});
  }
}

void Restriction::BestOfPart(Part& part, const Tensor& hidden, const Tensor& weight, const Tensor& bias,
                             const BestTokensOptions& o, const Indices& sentences, int64_t begin, int64_t end,
                             const Answer& answer) const {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  if (!part.packed) {
    const NoGrad no_grad;
    const Indices own(part.ids);
    part.packed = GatherRows(weight, own).Packed(true, WeightPrecision(false));
    if (bias) part.bias = GatherRows(bias, own);
  }
  const int64_t rows = end - begin, columns = part.ids.size(), k = std::min(o.k, columns);
  std::vector<int32_t> groups(rows), asked_offsets(1, 0), asked_places, asked_from;
  std::vector<uint8_t> excluded;
  for (int64_t r = 0; r < rows; ++r) {
    groups[r] = static_cast<int32_t>(sentences[begin + r] - part.first);
    for (int32_t i = o.asked_offsets[begin + r]; i < o.asked_offsets[begin + r + 1]; ++i) {
      const auto place = std::lower_bound(part.ids.begin(), part.ids.end(), o.asked_ids[i]);
      answer.asked_values[i] = kNever;
      if (place == part.ids.end() || *place != o.asked_ids[i]) continue;
      asked_places.push_back(static_cast<int32_t>(place - part.ids.begin()));
      asked_from.push_back(i);
      excluded.push_back(o.excluded[i]);
    }
    asked_offsets.push_back(static_cast<int32_t>(asked_places.size()));
  }
  std::vector<float> values(rows * k), asked_values(asked_places.size());
  std::vector<int32_t> places(rows * k);
  hidden.kernels().BestTokens(hidden.data() + begin * hidden.dim(1), rows, *part.packed,
                              part.bias ? part.bias.data() : nullptr, k,
                              {asked_offsets.data(), asked_places.data(), excluded.data()},
                              {part.allowed.data(), groups.data()}, values.data(), places.data(), asked_values.data());
  for (size_t i = 0; i < asked_from.size(); ++i) answer.asked_values[asked_from[i]] = asked_values[i];
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < o.k; ++i) {
      const int64_t to = (begin + r) * o.k + i;
      answer.values[to] = i < k ? values[r * k + i] : kNever;
      answer.indices[to] = i < k ? part.ids[places[r * k + i]] : 0;
    }
  }
}

}  // namespace attnkit::ops
