// Attention against the softmax of all scores in float64: grouped heads, causal, windows, a row that sees nothing.
#include <algorithm>
#include <stdexcept>

#include "support.h"

namespace attnkit {
namespace {

using ops::AttentionOptions;
using testing::kEpsilon;

struct Sizes {
  int64_t batch, heads, kv_heads, queries, keys, d_head, d_value;
};

bool Sees(const AttentionOptions& options, int64_t i, int64_t j) {
  const int64_t at = i + options.query_offset;
  if (options.causal && j > at) return false;
  if (options.window_left >= 0 && j < at - options.window_left) return false;
  return options.window_right < 0 || j <= at + options.window_right;
}

// One query's output over the keys that it sees, and how far rounding may take each number of it.
struct Expected {
  std::vector<double> output;
  double bound = 0;
};

Expected Attend(const Sizes& s, const AttentionOptions& options, int64_t i, const float* query, const float* key,
                const float* value) {
  std::vector<double> scores(s.keys, -std::numeric_limits<double>::infinity());
  double largest = scores[0], magnitude = 0, largest_value = 0, sum = 0;
  for (int64_t j = 0; j < s.keys; ++j) {
    if (!Sees(options, i, j)) continue;
    double score = 0, size = 0;
    for (int64_t d = 0; d < s.d_head; ++d) {
      score += double{query[d]} * key[j * s.d_head + d];
      size += std::abs(double{query[d]} * key[j * s.d_head + d]);
    }
    scores[j] = score / std::sqrt(static_cast<double>(s.d_head));
    largest = std::max(largest, scores[j]);
    magnitude = std::max(magnitude, size / std::sqrt(static_cast<double>(s.d_head)));
  }
  Expected expected{std::vector<double>(s.d_value, 0.0)};
  for (int64_t j = 0; j < s.keys; ++j) {
    if (!Sees(options, i, j)) continue;
    const double weight = std::exp(scores[j] - largest);
    sum += weight;
    for (int64_t d = 0; d < s.d_value; ++d) {
      expected.output[d] += weight * value[j * s.d_value + d];
      largest_value = std::max(largest_value, std::abs(double{value[j * s.d_value + d]}));
    }
  }
  for (double& number : expected.output) number = sum > 0 ? number / sum : 0.0;
  expected.bound = (2 * (s.d_head + 4) * magnitude + s.keys + 16) * kEpsilon * largest_value;
  return expected;
}

void CheckAttention(const Sizes& s, const AttentionOptions& options) {
  const Tensor query = testing::Random({s.batch, s.heads, s.queries, s.d_head}, 1);
  const Tensor key = testing::Random({s.batch, s.kv_heads, s.keys, s.d_head}, 2);
  const Tensor value = testing::Random({s.batch, s.kv_heads, s.keys, s.d_value}, 3);
  const Tensor output = ops::Attention(query, key, value, options).output;
  for (int64_t head = 0; head < s.batch * s.heads; ++head) {
    const int64_t kv_head = head / (s.heads / s.kv_heads);
    for (int64_t i = 0; i < s.queries; ++i) {
      const int64_t row = head * s.queries + i;
      const Expected expected =
          Attend(s, options, i, query.data() + row * s.d_head, key.data() + kv_head * s.keys * s.d_head,
                 value.data() + kv_head * s.keys * s.d_value);
      for (int64_t d = 0; d < s.d_value; ++d) {
        CAPTURE(row);
        CAPTURE(d);
        REQUIRE(std::abs(output.data()[row * s.d_value + d] - expected.output[d]) <= expected.bound);
      }
    }
  }
}

constexpr Sizes kSizes[] = {{1, 1, 1, 1, 1, 1, 1}, {2, 4, 2, 9, 13, 8, 5}, {1, 2, 1, 70, 150, 33, 17}};

TEST_CASE("attention: the formula in float64, under each instruction set") {
  AttentionOptions all, causal, window;
  causal.causal = true, causal.query_offset = 3;
  window.window_left = 2, window.window_right = 1;
  for (const Isa isa : SupportedIsas()) {
    const testing::IsaScope scope(isa);
    for (const Sizes& sizes : kSizes) {
      for (const AttentionOptions* options : {&all, &causal, &window}) {
        CAPTURE(testing::Name(isa));
        CAPTURE(sizes.queries);
        CAPTURE(options->causal);
        CheckAttention(sizes, *options);
      }
    }
  }
}

TEST_CASE("attention: a query that sees no key gives zeros") {
  AttentionOptions options;
  options.causal = true;
  options.query_offset = -2;
  options.return_weights = true;
  const Tensor x = testing::Random({1, 1, 4, 8}, 1);
  const ops::AttentionResult result = ops::Attention(x, x, x, options);
  for (int64_t i = 0; i < 2 * 8; ++i) CHECK(result.output.data()[i] == 0.0f);
  for (int64_t i = 0; i < 2 * 4; ++i) CHECK(result.weights.data()[i] == 0.0f);
  CHECK(result.weights.data()[2 * 4] == 1.0f);
}

TEST_CASE("attention: asking for the weights leaves the output as it is") {
  const Tensor x = testing::Random({2, 3, 70, 16}, 1);
  AttentionOptions options;
  const Tensor plain = ops::Attention(x, x, x, options).output;
  options.return_weights = true;
  CHECK(testing::SameBytes(plain, ops::Attention(x, x, x, options).output));
}

TEST_CASE("attention: shapes that do not meet are refused") {
  const Tensor x = testing::Random({1, 4, 3, 8}, 1);
  CHECK(testing::MessageOf([&] {
          ops::Attention(x, testing::Random({1, 4, 3, 7}, 2), x, {});
        }).find("[attention]") == 0);
  CHECK_THROWS_AS(ops::Attention(x, testing::Random({1, 3, 3, 8}, 2), x, {}), std::invalid_argument);
  CHECK_THROWS_AS(ops::Attention(x, x, testing::Random({1, 4, 2, 8}, 2), {}), std::invalid_argument);
}

}  // namespace
}  // namespace attnkit
