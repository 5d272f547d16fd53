// Attention forward: blocks of keys against tiles of queries, with a running maximum and sum for each query (Dao et
// al., "FlashAttention", 2022). Short sequences fit one block, which is then exact softmax in a single pass.

#include "attnkit/allocator.h"
#include "attnkit/threads.h"
#include "kernels/attention/geometry.h"

#ifndef ATTNKIT_KERNELS_ATTENTION_FORWARD_CALL_
#define ATTNKIT_KERNELS_ATTENTION_FORWARD_CALL_
namespace attnkit::kernels::attention {

struct ForwardCall {
  const AttentionShape* shape;
  const float *query, *key, *value;
  float *output, *weights;
  SoftmaxRows rows;
  const int64_t* weights_start;  // where the block of (b, 0) starts in weights
  int64_t total_queries, longest_queries, longest_keys;
};

constexpr int64_t kKeyBlock = 256;  // keys whose panels and values stay in the second-level cache
constexpr int64_t kTaskRows = 504;  // queries for which a block of keys is packed once
constexpr int64_t kTileRows = 24;   // queries whose scores against a block stay in the first-level cache

inline int64_t KeyBlock(int64_t keys) { return BlockSize(keys, kKeyBlock, 16); }
inline int64_t TaskRows(int64_t queries) { return BlockSize(queries, kTaskRows, kTileRows); }
inline int64_t RowBlocks(int64_t queries) { return CeilDiv(queries, kTaskRows); }

}  // namespace attnkit::kernels::attention
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention/forward.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/attention/dots-inl.h"
#include "kernels/attention/hidden-inl.h"
#include "kernels/attention/softmax-inl.h"
#include "kernels/dispatch.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::attention::HWY_NAMESPACE {

static_assert(kTileRows <= kSoftmaxRows);

// Running maximum and sum of a tile's queries.
struct alignas(64) TileState {
  float max[kSoftmaxRows], sum[kSoftmaxRows];
  bool started;
};

class ForwardWorker {
 public:
  explicit ForwardWorker(const ForwardCall& call)
      : call_(call), shape_(*call.shape), hides_(Hides(shape_)), dropout_(shape_.dropout) {
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
    Task task = TaskAt(piece.sequence, piece.task);
    for (int64_t count = piece.count; count > 0; --count) {
      sequence_ = task.sequence;
      const Task next = count > 1 ? TaskAfter(task) : task;
      if (count > 1 && next.row_block == 0) Prefetch(next);
      RunTask(task);
      task = next;
    }
  }

 private:
  // A block of queries of all heads that share a key/value head.
  struct Task {
    int64_t b, kv_head, row_block, row_blocks, rows;
    Sequence sequence;
    Range queries() const { return {row_block * rows, std::min((row_block + 1) * rows, sequence.queries)}; }
  };

  Task FirstTask(int64_t b) const {
    const Sequence sequence = SequenceAt(shape_, b);
    return {b, 0, 0, RowBlocks(sequence.queries), TaskRows(sequence.queries), sequence};
  }

  Task TaskAt(int64_t b, int64_t number) const {
    Task task = FirstTask(b);
    task.kv_head = number / task.row_blocks;
    task.row_block = number % task.row_blocks;
    return task;
  }

  Task TaskAfter(Task task) const {
    if (++task.row_block < task.row_blocks) return task;
    task.row_block = 0;
    if (++task.kv_head < shape_.kv_heads) return task;
    int64_t b = task.b + 1;
    while (SequenceAt(shape_, b).queries == 0) ++b;
    return FirstTask(b);
  }

  HWY_INLINE void Prefetch(const Task& task) const {
    const AttentionShape& s = shape_;
    const int64_t b = task.b, kv_head = task.kv_head, head = kv_head * (s.heads / s.kv_heads);
    const int64_t queries = task.sequence.queries, keys = task.sequence.keys;
    PrefetchHead<0>(call_.key, s.key, s.key_offsets, b, kv_head, keys, s.d_head);
    PrefetchHead<0>(call_.query, s.query, s.query_offsets, b, head, queries, s.d_head);
    PrefetchHead<0>(call_.value, s.value, s.key_offsets, b, kv_head, keys, s.d_value);
    PrefetchHead<1>(call_.output, s.output, s.query_offsets, b, head, queries, s.d_value);
  }

  // One head of one sequence: what the steps below share.
  struct Head {
    const float *query, *key, *value;
    float *output, *weights;
    SoftmaxRows rows;  // of its first query
    int64_t number;
    ScoreRules rules;
  };

  Head HeadOf(const Task& task, int64_t h) {
    const int64_t b = task.b;
    Head head;
    head.query = HeadRows(call_.query, shape_.query, shape_.query_offsets, b, h);
    head.key = HeadRows(call_.key, shape_.key, shape_.key_offsets, b, task.kv_head);
    head.value = HeadRows(call_.value, shape_.value, shape_.key_offsets, b, task.kv_head);
    head.output = HeadRows(call_.output, shape_.output, shape_.query_offsets, b, h);
    if (call_.rows.maximum) {
      const int64_t row = h * call_.total_queries + task.sequence.query_row;
      head.rows = {call_.rows.maximum + row, call_.rows.log_sum + row};
    }
    head.weights = nullptr;
    if (call_.weights)
      head.weights = call_.weights + call_.weights_start[b] + h * task.sequence.queries * task.sequence.keys;
    head.number = h;
    head.rules = ScoreRules(shape_, b, h, mask_row_);
    return head;
  }

  // A tile of queries against a block of keys. `seen` and all columns of scores count from the block's first key.
  struct Step {
    Range queries;
    int64_t first_key;
    Range seen;
    int64_t stride;  // of scores
    bool last;       // no later block is visible to the tile
    TileState* state;
  };

  void RunTask(const Task& task) {
    const int64_t group = shape_.heads / shape_.kv_heads, first = task.kv_head * group;
    const Range queries = task.queries();
    for (int64_t h = first; h < first + group; ++h) {
      Head head = HeadOf(task, h);
      if (head.weights) {
        const int64_t keys = sequence_.keys;
        std::fill(head.weights + queries.begin * keys, head.weights + queries.end * keys, kNegativeInfinity);
      }
      if (sequence_.queries <= kFewQueries) {
        RunFewQueries(head, h == first);
      } else {
        RunHead(head, queries, h == first);
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
    if (hides_) packed_value_ = finite_value_.Of(packed_value_, count, shape_.d_value);
  }

  // Decoding: all keys at once, the scores straight from rows of keys.
  void RunFewQueries(Head& head, bool first_of_group) {
    const int64_t keys = sequence_.keys;
    const Range queries{0, sequence_.queries}, seen = VisibleKeys(shape_, queries, keys);
    states_[0].started = false;
    if (seen.empty()) return WriteNothing(head, queries);
    if (first_of_group) {
      packed_value_ = WholeVectors(head.value, shape_.value.row_stride, keys, shape_.d_value, 1, value_);
      if (hides_) packed_value_ = finite_value_.Of(packed_value_, keys, shape_.d_value);
    }
    const Step step{queries, 0, seen, RoundUp(keys, 16), true, &states_[0]};
    ScoresByDots({head.query, shape_.query.row_stride}, queries.size(), {head.key, shape_.key.row_stride}, keys, seen,
                 shape_.d_head, scores_, step.stride);
    FinishStep(head, step, packed_value_);
  }

  // From raw scores to output: softmax of the block, then its values onto the output.
  void FinishStep(Head& head, const Step& step, const RowsView& value) {
    HWY_ALIGN float row_scale[kSoftmaxRows];
    TileState& state = *step.state;
    const bool started = state.started;
    const ScoreTile tile = FinishScores(head, step);
    if (started || !step.last || !TryNarrowSoftmax(tile, state.max, state.sum)) {
      RunningSoftmax(head, step, tile);
    }
    state.started = true;
    const bool some_empty = step.last && FinishRows(head, step, row_scale);
    const Left p{scores_ + step.seen.begin, step.stride, 1};
    const Result result{head.output + step.queries.begin * shape_.output.row_stride, shape_.output.row_stride, started,
                        step.last ? row_scale : nullptr};
    RowsProduct(p, tile.rows, step.seen.size(), value.data + step.seen.begin * value.stride, value.stride,
                shape_.d_value, result);
    if (hides_) finite_value_.Add(p, tile.rows, step.seen, result);
    if (!some_empty) return;
    for (int64_t r = 0; r < tile.rows; ++r) {
      if (state.sum[r] == 0.0f) ZeroOutput(head, step.queries.begin + r);
    }
  }

  // Softcap, mask and the numbers of dropout.
  ScoreTile FinishScores(Head& head, const Step& step) {
    ScoreTile tile{scores_, step.stride, step.queries.size(), step.seen, nullptr, head.rules.factor()};
    if (SeesByPosition(shape_)) {
      for (int64_t r = 0; r < tile.rows; ++r) {
        const Range all = VisibleKeys(shape_, step.queries.begin + r, sequence_.keys);
        ranges_[r] = Intersect({all.begin - step.first_key, all.end - step.first_key}, step.seen);
      }
      tile.ranges = ranges_;
    }
    if (!head.rules.plain()) {
      for (int64_t r = 0; r < tile.rows; ++r) {
        head.rules.Apply(step.queries.begin + r, step.first_key, tile.range(r), tile.row(r), nullptr);
      }
    }
    if (head.weights) WriteScores(head, step, tile);
    if (shape_.dropout > 0) {
      const int64_t begin = step.seen.begin / 16 * 16, blocks = CeilDiv(step.seen.end - begin, 8);
      const int64_t row_blocks = CeilDiv(call_.longest_keys, 8);
      const int64_t row = head.number * call_.total_queries + sequence_.query_row + step.queries.begin;
      DropoutNumbers(shape_.dropout_key, row * row_blocks + (step.first_key + begin) / 8, row_blocks, tile.rows, blocks,
                     numbers_);
      tile.dropout = &dropout_;
      tile.number_stride = blocks * 8;
      tile.numbers = numbers_ - begin;
    }
    return tile;
  }

  // Takes the block into the running maxima and sums. When a maximum rises, what was summed before shrinks.
  void RunningSoftmax(const Head& head, const Step& step, const ScoreTile& tile) {
    const FloatTag d;
    HWY_ALIGN float block[kSoftmaxRows], rescale[kSoftmaxRows], shift[kSoftmaxRows] = {};
    TileState& state = *step.state;
    const Vector lowest = hn::Set(d, kNegativeInfinity), factor = hn::Set(d, tile.factor);
    RowMaxima(tile, block);
    for (int64_t r = 0; r < tile.rows; r += kLanes) {
      const Vector old = state.started ? hn::Load(d, state.max + r) : lowest;
      const Vector max = hn::Max(old, hn::Load(d, block + r)), finite = FiniteShift(max);
      hn::Store(max, d, state.max + r);
      hn::Store(finite, d, shift + r);
      if (state.started) hn::Store(ExpOfScore(old, finite, factor), d, rescale + r);
    }
    if (state.started) RescaleOutput(head, step.queries, rescale);
    RowExponentials(tile, shift, block);
    for (int64_t r = 0; r < tile.rows; r += kLanes) {
      Vector sum = hn::Load(d, block + r);
      if (state.started) sum = hn::MulAdd(hn::Load(d, state.sum + r), hn::Load(d, rescale + r), sum);
      hn::Store(sum, d, state.sum + r);
    }
  }

  // After the last block: what to multiply output rows by, and what backward needs. True if some row saw no key.
  bool FinishRows(const Head& head, const Step& step, float* row_scale) {
    const FloatTag d;
    const TileState& state = *step.state;
    const Vector one = hn::Set(d, 1.0f), infinity = hn::Set(d, -kNegativeInfinity);
    bool some_empty = false;
    for (int64_t r = 0; r < step.queries.size(); r += kLanes) {
      const Vector sum = hn::Load(d, state.sum + r);
      const auto empty = hn::Eq(sum, hn::Zero(d));
      some_empty |= !hn::AllFalse(d, empty);
      hn::Store(hn::IfThenZeroElse(empty, hn::Div(one, sum)), d, row_scale + r);
      if (!head.rows.maximum) continue;
      const int64_t row = step.queries.begin + r, count = std::min(kLanes, step.queries.size() - r);
      StoreTail(FiniteShift(hn::Load(d, state.max + r)), count, head.rows.maximum + row);
      StoreTail(hn::IfThenElse(empty, infinity, FastLog(d, sum)), count, head.rows.log_sum + row);
    }
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
      if (!head.rows.maximum) continue;
      head.rows.maximum[i] = 0.0f;
      head.rows.log_sum[i] = -kNegativeInfinity;
    }
    if (head.weights) {
      const int64_t keys = sequence_.keys;
      std::fill(head.weights + queries.begin * keys, head.weights + queries.end * keys, 0.0f);
    }
  }

  // Weights first hold scores (-inf where there is none), so that asking for them changes nothing in the loop above.
  void WriteScores(const Head& head, const Step& step, const ScoreTile& tile) {
    for (int64_t r = 0; r < tile.rows; ++r) {
      float* row = head.weights + (step.queries.begin + r) * sequence_.keys + step.first_key;
      const float* scores = tile.row(r);
      const Range range = tile.range(r);
      if (!range.empty()) std::copy(scores + range.begin, scores + range.end, row + range.begin);
    }
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
      const Vector factor = hn::Set(d, head.rules.factor());
      const Vector share = hn::Set(d, state.sum[r] == 0.0f ? 0.0f : 1.0f / state.sum[r]);
      int64_t j = 0;
      for (; j + kLanes <= keys; j += kLanes) {
        hn::StoreU(hn::Mul(ExpOfScore(hn::LoadU(d, row + j), shift, factor), share), d, row + j);
      }
      if (j == keys) continue;
      StoreTail(hn::Mul(ExpOfScore(LoadTail(row + j, keys - j), shift, factor), share), keys - j, row + j);
    }
  }

  const ForwardCall& call_;
  const AttentionShape& shape_;
  Buffer<float> scratch_;
  Buffer<TileState> states_;
  float *packed_key_, *value_, *scores_, *mask_row_;
  uint16_t* numbers_;
  RowsView packed_value_{};
  const bool hides_;
  FiniteRows finite_value_;
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

static auto ForwardKernel() { return ATTNKIT_DISPATCH(RunForward); }

static std::vector<int64_t> WeightsStart(const AttentionShape& shape) {
  std::vector<int64_t> start(shape.batch + 1, 0);
  for (int64_t b = 0; b < shape.batch; ++b) {
    const Sequence sequence = SequenceAt(shape, b);
    start[b + 1] = start[b] + shape.heads * sequence.queries * sequence.keys;
  }
  return start;
}

}  // namespace attention

void AttentionForward(const AttentionShape& shape, const float* query, const float* key, const float* value,
                      float* output, SoftmaxRows rows, float* weights) {
  using namespace attention;
  if (shape.batch == 0 || shape.heads == 0) return;
  CountProducts(shape, shape.d_head + shape.d_value);
  const std::vector<int64_t> weights_start = weights ? WeightsStart(shape) : std::vector<int64_t>();
  const ForwardCall call{&shape,
                         query,
                         key,
                         value,
                         output,
                         weights,
                         rows,
                         weights_start.data(),
                         TotalQueries(shape),
                         LongestQueries(shape),
                         LongestKeys(shape)};
  const auto pieces = SplitTasks(
      shape.batch, [&](int64_t b) { return RowBlocks(SequenceAt(shape, b).queries) * shape.kv_heads; },
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
