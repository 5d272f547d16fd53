// Attention forward: blocks of keys against tiles of queries, with a running maximum and sum for each query (Dao et al.,
// "FlashAttention", 2022). Short sequences fit one block, which is then exact softmax in a single pass.
#include <cmath>

#include "attnkit/allocator.h"
#include "attnkit/check.h"
#include "attnkit/threads.h"
#include "kernels/attention/geometry.h"

#ifndef ATTNKIT_KERNELS_ATTENTION_FORWARD_CALL_
#define ATTNKIT_KERNELS_ATTENTION_FORWARD_CALL_
namespace attnkit::kernels::attention {

struct ForwardCall {
  const AttentionShape* shape;
  const float *query, *key, *value;
  float *output, *lse, *weights;
  const int64_t* weights_start;  // where the block of (b, 0) starts in weights
  int64_t total_queries, longest_queries, longest_keys;
};

constexpr int64_t kKeyBlock = 256;   // keys whose panels and values stay in the second-level cache
constexpr int64_t kTaskRows = 504;   // queries for which a block of keys is packed once
constexpr int64_t kTileRows = 24;    // queries whose scores against a block stay in the first-level cache
constexpr int64_t kFewQueries = 4;   // up to here transposing the keys costs more than it saves

inline int64_t KeyBlock(int64_t keys) { return BlockSize(keys, kKeyBlock, 16); }
inline int64_t TaskRows(int64_t queries) { return BlockSize(queries, kTaskRows, kTileRows); }

}  // namespace attnkit::kernels::attention
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention/forward.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/attention/dropout-inl.h"
#include "kernels/attention/dots-inl.h"
#include "kernels/attention/scores-inl.h"
#include "kernels/dispatch.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::attention::HWY_NAMESPACE {

// Running maximum and sum of a tile's queries.
constexpr int64_t kStateRows = RoundUp(kTileRows, 16);
struct alignas(64) TileState {
  float max[kStateRows], sum[kStateRows];
  bool started;
};

class ForwardWorker {
 public:
  explicit ForwardWorker(const ForwardCall& call) : call_(call), shape_(*call.shape), dropout_(shape_.dropout) {
    const int64_t keys = std::max(RoundUp(call.longest_keys, 16), int64_t{16});
    const int64_t block = std::min(keys, kKeyBlock), depth = RoundUp(shape_.d_value, 16);
    const int64_t tile = std::max(kTileRows * block, kFewQueries * keys);
    const int64_t values = std::max(block, depth == shape_.d_value ? 0 : keys) * depth;
    const int64_t numbers = shape_.dropout > 0 ? DropoutRoom(tile / 8) / 2 : 0;
    scratch_ = Buffer<float>(RoundUp(block * shape_.d_head, 16) + values + tile + keys + numbers);
    packed_key_ = scratch_.data();
    value_ = packed_key_ + RoundUp(block * shape_.d_head, 16);
    scores_ = value_ + values;
    mask_row_ = scores_ + tile;
    numbers_ = reinterpret_cast<uint16_t*>(mask_row_ + keys);
    states_ = Buffer<TileState>(CeilDiv(std::min(call.longest_queries, kTaskRows), kTileRows) + 1);
  }

  void Run(const Piece& piece) {
    int64_t b = piece.sequence, task = piece.task;
    for (int64_t count = piece.count; count > 0;) {
      sequence_ = SequenceAt(shape_, b);
      const int64_t rows = TaskRows(sequence_.queries), blocks = rows ? CeilDiv(sequence_.queries, rows) : 0;
      for (; count > 0 && task < blocks * shape_.kv_heads; ++task, --count) {
        const int64_t first = task % blocks * rows;
        RunTask(b, task / blocks, {first, std::min(first + rows, sequence_.queries)});
      }
      ++b;
      task = 0;
    }
  }

 private:
  // One head of one sequence: what the steps below share.
  struct Head {
    const float *query, *key, *value;
    float *output, *lse, *weights;
    int64_t number;
    ScoreRules rules;
  };

  // A tile of queries against a block of keys. `seen` and all columns of scores count from the block's first key.
  struct Step {
    Range queries;
    int64_t first_key;
    Range seen;
    int64_t stride;  // of scores
    bool last;       // no later block is visible to the tile
    TileState* state;
  };

  void RunTask(int64_t b, int64_t kv_head, Range queries) {
    const int64_t group = shape_.heads / shape_.kv_heads;
    for (int64_t h = kv_head * group; h < (kv_head + 1) * group; ++h) {
      const bool first_of_group = h == kv_head * group;
      Head head;
      head.query = HeadRows(call_.query, shape_.query, shape_.query_offsets, b, h);
      head.key = HeadRows(call_.key, shape_.key, shape_.key_offsets, b, kv_head);
      head.value = HeadRows(call_.value, shape_.value, shape_.key_offsets, b, kv_head);
      head.output = HeadRows(call_.output, shape_.output, shape_.query_offsets, b, h);
      head.lse = call_.lse ? call_.lse + h * call_.total_queries + sequence_.query_row : nullptr;
      head.weights = nullptr;
      if (call_.weights) {
        head.weights = call_.weights + call_.weights_start[b] + h * sequence_.queries * sequence_.keys;
        const int64_t keys = sequence_.keys;
        std::fill(head.weights + queries.begin * keys, head.weights + queries.end * keys, kNegativeInfinity);
      }
      head.number = h;
      head.rules = ScoreRules(shape_, b, h, mask_row_);
      if (sequence_.queries <= kFewQueries) {
        RunFewQueries(head, first_of_group);
      } else {
        RunHead(head, queries, first_of_group);
      }
      if (head.weights) FinishWeights(head, queries);
    }
  }

  void RunHead(Head& head, Range queries, bool first_of_group) {
    const int64_t keys = sequence_.keys, block = KeyBlock(keys);
    const int64_t tiles = CeilDiv(queries.size(), kTileRows);
    for (int64_t t = 0; t < tiles; ++t) states_[t].started = false;
    const Range visible = VisibleKeys(shape_, queries, keys);
    for (int64_t first = 0; first < keys; first += block) {
      const int64_t count = std::min(block, keys - first);
      if (Intersect(visible, {first, first + count}).empty()) continue;
      if (first_of_group || block < keys) Pack(head, first, count, queries.size());
      for (int64_t t = 0; t < tiles; ++t) {
        const int64_t i = queries.begin + t * kTileRows;
        Step step{{i, std::min(i + kTileRows, queries.end)}, first, {}, RoundUp(count, kLanes), false, &states_[t]};
        const Range all = VisibleKeys(shape_, step.queries, keys);
        step.seen = Intersect({all.begin - first, all.end - first}, {0, count});
        if (step.seen.empty()) continue;
        step.last = all.end <= first + count;
        const Left a{head.query + i * shape_.query.row_stride, shape_.query.row_stride, 1};
        PackedProduct(a, step.queries.size(), shape_.d_head, packed_key_, count, step.seen, {scores_, step.stride});
        FinishStep(head, step, packed_value_);
      }
    }
    for (int64_t t = 0; t < tiles; ++t) {
      const int64_t i = queries.begin + t * kTileRows;
      if (!states_[t].started) WriteNothing(head, {i, std::min(i + kTileRows, queries.end)});
    }
  }

  void Pack(const Head& head, int64_t first, int64_t count, int64_t uses) {
    PackTransposed(head.key + first * shape_.key.row_stride, shape_.key.row_stride, count, shape_.d_head, packed_key_);
    packed_value_ = WholeVectors(head.value + first * shape_.value.row_stride, shape_.value.row_stride, count,
                                 shape_.d_value, uses, value_);
  }

  // Decoding: all keys at once, the scores straight from rows of keys.
  void RunFewQueries(Head& head, bool first_of_group) {
    const int64_t keys = sequence_.keys;
    const Range queries{0, sequence_.queries}, seen = VisibleKeys(shape_, queries, keys);
    states_[0].started = false;
    if (seen.empty()) return WriteNothing(head, queries);
    if (first_of_group) {
      packed_value_ = WholeVectors(head.value, shape_.value.row_stride, keys, shape_.d_value, 1, value_);
    }
    const Step step{queries, 0, seen, RoundUp(keys, kLanes), true, &states_[0]};
    ScoresByDots({head.query, shape_.query.row_stride}, queries.size(), {head.key, shape_.key.row_stride}, keys, seen,
                 shape_.d_head, scores_, step.stride);
    FinishStep(head, step, packed_value_);
  }

  // From raw scores to output: softmax of the block, then its values onto the output.
  void FinishStep(Head& head, const Step& step, const RowsView& value) {
    HWY_ALIGN float shift[kStateRows], rescale[kStateRows], row_scale[kStateRows];
    TileState& state = *step.state;
    const bool started = state.started;
    for (int64_t r = 0; r < step.queries.size(); ++r) {
      const Range all = VisibleKeys(shape_, step.queries.begin + r, sequence_.keys);
      ranges_[r] = Intersect({all.begin - step.first_key, all.end - step.first_key}, step.seen);
    }
    BlockMaxima(head, step, shift, rescale);
    if (started) RescaleOutput(head, step.queries, rescale);
    BlockExponentials(head, step, shift, rescale);
    state.started = true;
    const bool some_empty = step.last && FinishRows(head, step, row_scale);
    const Left p{scores_ + step.seen.begin, step.stride, 1};
    const Result result{head.output + step.queries.begin * shape_.output.row_stride, shape_.output.row_stride, started,
                        step.last ? row_scale : nullptr};
    RowsProduct(p, step.queries.size(), step.seen.size(), value.data + step.seen.begin * value.stride, value.stride,
                shape_.d_value, result);
    if (!some_empty) return;
    for (int64_t r = 0; r < step.queries.size(); ++r) {
      if (state.sum[r] == 0.0f) ZeroOutput(head, step.queries.begin + r);
    }
  }

  // Takes the block into the running maxima. Exponentials are of score - shift; what was summed before is multiplied by
  // rescale.
  void BlockMaxima(Head& head, const Step& step, float* shift, float* rescale) {
    const FloatTag d;
    HWY_ALIGN float partial[kTileRows * kLanes], block_max[kStateRows];
    const Vector factor = hn::Set(d, head.rules.factor()), lowest = hn::Set(d, kNegativeInfinity);
    const int64_t rows = step.queries.size();
    const bool plain = head.rules.plain();
    for (int64_t r = 0; r < rows; ++r) {
      float* scores = scores_ + r * step.stride;
      if (!plain) head.rules.Apply(step.queries.begin + r, step.first_key, ranges_[r], scores, nullptr);
      Vector max = lowest;
      ForScores(ranges_[r], [&](auto lanes, int64_t j) ATTNKIT_BODY {
        max = hn::Max(max, lanes.Keep(hn::Mul(hn::Load(d, scores + j), factor), lowest));
      });
      hn::Store(max, d, partial + r * kLanes);
      if (head.weights) WriteScores(head, step, r);
    }
    for (int64_t r = rows; r % 4 != 0; ++r) hn::Store(lowest, d, partial + r * kLanes);
    ReduceRows(MaxOp(), partial, rows, block_max);
    TileState& state = *step.state;
    for (int64_t r = 0; r < rows; r += kLanes) {
      const Vector old = state.started ? hn::Load(d, state.max + r) : lowest;
      const Vector max = hn::Max(old, hn::Load(d, block_max + r));
      const Vector safe = hn::IfThenZeroElse(hn::Eq(max, lowest), max);  // -inf - -inf would be NaN
      hn::Store(max, d, state.max + r);
      hn::Store(safe, d, shift + r);
      if (state.started) hn::Store(Exp(hn::Sub(old, safe)), d, rescale + r);
    }
  }

  // scores = exp(scores - shift), those that dropout removes and those out of sight zero; the running sums have all but the
  // latter.
  void BlockExponentials(const Head& head, const Step& step, const float* shift, const float* rescale) {
    const FloatTag d;
    HWY_ALIGN float partial[kTileRows * kLanes], block_sum[kStateRows];
    const Vector factor = hn::Set(d, head.rules.factor());
    const int64_t rows = step.queries.size(), begin = step.seen.begin / 16 * 16;
    const int64_t blocks = CeilDiv(step.seen.end - begin, 8);
    const bool dropout = shape_.dropout > 0;
    if (dropout) {
      const int64_t row_blocks = CeilDiv(call_.longest_keys, 8);
      const int64_t row = head.number * call_.total_queries + sequence_.query_row + step.queries.begin;
      DropoutNumbers(shape_.dropout_key, row * row_blocks + (step.first_key + begin) / 8, row_blocks, rows, blocks, numbers_);
    }
    for (int64_t r = 0; r < rows; ++r) {
      float* scores = scores_ + r * step.stride;
      const uint16_t* numbers = numbers_ + r * blocks * 8 - begin;
      const Vector row_shift = hn::Set(d, shift[r]);
      Vector sum = hn::Zero(d);
      ZeroOutside(step.seen, ranges_[r], scores);
      ForScores(ranges_[r], [&](auto lanes, int64_t j) ATTNKIT_BODY {
        Vector p = Exp(hn::MulSub(hn::Load(d, scores + j), factor, row_shift));
        p = lanes.Keep(p, hn::Zero(d));
        sum = hn::Add(sum, p);
        if (dropout) p = dropout_.Apply(p, numbers + j);
        hn::Store(p, d, scores + j);
      });
      hn::Store(sum, d, partial + r * kLanes);
    }
    for (int64_t r = rows; r % 4 != 0; ++r) hn::Store(hn::Zero(d), d, partial + r * kLanes);
    ReduceRows(AddOp(), partial, rows, block_sum);
    TileState& state = *step.state;
    for (int64_t r = 0; r < rows; r += kLanes) {
      Vector sum = hn::Load(d, block_sum + r);
      if (state.started) sum = hn::MulAdd(hn::Load(d, state.sum + r), hn::Load(d, rescale + r), sum);
      hn::Store(sum, d, state.sum + r);
    }
  }

  // After the last block: what to multiply output rows by, and lse. True if some row saw no key.
  bool FinishRows(const Head& head, const Step& step, float* row_scale) {
    const FloatTag d;
    HWY_ALIGN float lse[kStateRows];
    const TileState& state = *step.state;
    const Vector one = hn::Set(d, 1.0f), lowest = hn::Set(d, kNegativeInfinity);
    bool some_empty = false;
    for (int64_t r = 0; r < step.queries.size(); r += kLanes) {
      const Vector sum = hn::Load(d, state.sum + r), max = hn::Load(d, state.max + r);
      const auto empty = hn::Eq(sum, hn::Zero(d));
      some_empty |= !hn::AllFalse(d, empty);
      hn::Store(hn::IfThenZeroElse(empty, hn::Div(one, sum)), d, row_scale + r);
      if (head.lse) hn::Store(hn::IfThenElse(empty, lowest, hn::Add(max, FastLog(d, sum))), d, lse + r);
    }
    if (head.lse) std::copy(lse, lse + step.queries.size(), head.lse + step.queries.begin);
    return some_empty;
  }

  void RescaleOutput(const Head& head, Range queries, const float* rescale) {
    const FloatTag d;
    const int64_t columns = shape_.d_value;
    for (int64_t r = 0; r < queries.size(); ++r) {
      if (rescale[r] == 1.0f) continue;
      float* row = head.output + (queries.begin + r) * shape_.output.row_stride;
      const Vector factor = hn::Set(d, rescale[r]);
      int64_t n = 0;
      for (; n + kLanes <= columns; n += kLanes) hn::StoreU(hn::Mul(hn::LoadU(d, row + n), factor), d, row + n);
      if (n < columns) StoreTail(hn::Mul(LoadTail(row + n, columns - n), factor), columns - n, row + n);
    }
  }

  void ZeroOutput(const Head& head, int64_t i) {
    std::fill_n(head.output + i * shape_.output.row_stride, shape_.d_value, 0.0f);
  }

  void WriteNothing(const Head& head, Range queries) {
    for (int64_t i = queries.begin; i < queries.end; ++i) {
      ZeroOutput(head, i);
      if (head.lse) head.lse[i] = kNegativeInfinity;
    }
    if (head.weights) {
      const int64_t keys = sequence_.keys;
      std::fill(head.weights + queries.begin * keys, head.weights + queries.end * keys, 0.0f);
    }
  }

  // Weights first hold final scores (-inf where there is none), so that asking for them changes nothing in the loop above.
  void WriteScores(const Head& head, const Step& step, int64_t r) {
    const Range range = ranges_[r];
    const float factor = head.rules.factor(), *scores = scores_ + r * step.stride;
    float* row = head.weights + (step.queries.begin + r) * sequence_.keys + step.first_key;
    for (int64_t j = range.begin; j < range.end; ++j) row[j] = scores[j] * factor;
  }

  void FinishWeights(const Head& head, Range queries) {
    const FloatTag d;
    const int64_t keys = sequence_.keys;
    for (int64_t i = queries.begin; i < queries.end; ++i) {
      const TileState& state = states_[(i - queries.begin) / kTileRows];
      const int64_t r = (i - queries.begin) % kTileRows;
      if (!state.started) continue;
      float* row = head.weights + i * keys;
      const Vector shift = hn::Set(d, state.max[r] == kNegativeInfinity ? 0.0f : state.max[r]);
      const Vector factor = hn::Set(d, state.sum[r] == 0.0f ? 0.0f : 1.0f / state.sum[r]);
      int64_t j = 0;
      for (; j + kLanes <= keys; j += kLanes) {
        hn::StoreU(hn::Mul(Exp(hn::Sub(hn::LoadU(d, row + j), shift)), factor), d, row + j);
      }
      if (j < keys) StoreTail(hn::Mul(Exp(hn::Sub(LoadTail(row + j, keys - j), shift)), factor), keys - j, row + j);
    }
  }

  const ForwardCall& call_;
  const AttentionShape& shape_;
  Buffer<float> scratch_;
  Buffer<TileState> states_;
  float *packed_key_, *value_, *scores_, *mask_row_;
  uint16_t* numbers_;
  RowsView packed_value_{};
  Range ranges_[kTileRows];  // of the step at hand: what each of its queries sees
  const DropoutRule dropout_;
  Sequence sequence_;
};

void RunForward(const ForwardCall& call, const Piece& piece) { ForwardWorker(call).Run(piece); }

}  // namespace attnkit::kernels::attention::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {

int64_t TotalQueries(const AttentionShape& shape) {
  return shape.query_offsets ? shape.query_offsets[shape.batch] : shape.batch * shape.queries;
}

int64_t WeightsSize(const AttentionShape& shape) {
  int64_t size = 0;
  for (int64_t b = 0; b < shape.batch; ++b) {
    const attention::Sequence sequence = attention::SequenceAt(shape, b);
    size += shape.heads * sequence.queries * sequence.keys;
  }
  return size;
}

namespace attention {

auto ForwardKernel() { return ATTNKIT_DISPATCH(RunForward); }

std::vector<int64_t> WeightsStart(const AttentionShape& shape) {
  std::vector<int64_t> start(shape.batch + 1, 0);
  for (int64_t b = 0; b < shape.batch; ++b) {
    const Sequence sequence = SequenceAt(shape, b);
    start[b + 1] = start[b] + shape.heads * sequence.queries * sequence.keys;
  }
  return start;
}

}  // namespace attention

void AttentionForward(const AttentionShape& shape, const float* query, const float* key, const float* value, float* output,
                      float* lse, float* weights) {
  using namespace attention;
  if (shape.batch == 0 || shape.heads == 0) return;
  const std::vector<int64_t> weights_start = weights ? WeightsStart(shape) : std::vector<int64_t>();
  const ForwardCall call{&shape, query, key, value, output, lse, weights, weights_start.data(), TotalQueries(shape),
                         LongestQueries(shape), LongestKeys(shape)};
  const auto blocks = [&](int64_t b) {
    const int64_t queries = SequenceAt(shape, b).queries;
    return queries > 0 ? CeilDiv(queries, TaskRows(queries)) : 0;
  };
  const auto pieces = SplitTasks(
      shape.batch, [&](int64_t b) { return blocks(b) * shape.kv_heads; },
      [&](int64_t b) {
        constexpr double kTaskCost = 4096;
        const Sequence sequence = SequenceAt(shape, b);
        const double rows = std::max<double>(std::min(sequence.queries, TaskRows(sequence.queries)), kFewQueries);
        const double products = rows * static_cast<double>(sequence.keys * (shape.d_head + shape.d_value));
        return kTaskCost + products * static_cast<double>(shape.heads / shape.kv_heads);
      });
  auto* kernel = ForwardKernel();
  ParallelFor(static_cast<int64_t>(pieces.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) kernel(call, pieces[p]);
  });
}

}  // namespace attnkit::kernels
#endif  // HWY_ONCE
