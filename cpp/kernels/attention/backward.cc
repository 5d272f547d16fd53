// Attention backward: scores are computed again from query and key, probabilities from them and the saved maximum and
// sum of each row (Dao et al., "FlashAttention", 2022). With P the probabilities and delta = rowsum(dO * O):
//   dV = P^T dO,  dP = dO V^T,  dS = P * (dP - delta),  dQ = scale * dS K,  dK = scale * dS^T Q.
#include "attnkit/allocator.h"
#include "attnkit/threads.h"
#include "kernels/attention/geometry.h"
#include "kernels/attention/mask_gradient.h"

#ifndef ATTNKIT_KERNELS_ATTENTION_BACKWARD_CALL_
#define ATTNKIT_KERNELS_ATTENTION_BACKWARD_CALL_
namespace attnkit::kernels::attention {

struct BackwardCall {
  const AttentionShape* shape;
  const float *query, *key, *value, *output, *doutput;
  SoftmaxRows rows;
  float *dquery, *dkey, *dvalue;
  int64_t total_queries, longest_queries, longest_keys;
  float* dquery_parts;  // if set, a task is one group of keys: dquery of group g > 0 is part g - 1, [heads, queries,
                        // d_head]
};

constexpr int64_t kBackwardKeys =
    128;  // keys and queries of a block: both tiles of scores, and the operands of the five
constexpr int64_t kBackwardQueries = 64;  // products, stay in the second-level cache
constexpr int64_t kKeyGroup = 1024;       // keys whose share of dquery is summed apart, so that long rows can be split

inline int64_t KeyGroup(int64_t keys) { return BlockSize(keys, kKeyGroup, kBackwardKeys); }
inline int64_t KeyGroups(int64_t keys) { return keys > 0 ? CeilDiv(keys, KeyGroup(keys)) : 1; }

}  // namespace attnkit::kernels::attention
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention/backward.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "kernels/attention/dots-inl.h"
#include "kernels/attention/dropout-inl.h"
#include "kernels/attention/hidden-inl.h"
#include "kernels/attention/scores-inl.h"
#include "kernels/dispatch.h"

HWY_BEFORE_NAMESPACE();
namespace attnkit::kernels::attention::HWY_NAMESPACE {

// to += from
HWY_INLINE void AddRow(const float* from, int64_t columns, float* to) {
  const FloatTag d;
  int64_t n = 0;
  for (; n + kLanes <= columns; n += kLanes)
    hn::StoreU(hn::Add(hn::LoadU(d, to + n), hn::LoadU(d, from + n)), d, to + n);
  if (n < columns)
    StoreTail(hn::Add(LoadTail(to + n, columns - n), LoadTail(from + n, columns - n)), columns - n, to + n);
}

HWY_INLINE float Dot(const float* a, const float* b, int64_t columns) {
  const FloatTag d;
  Vector sum = hn::Zero(d);
  int64_t n = 0;
  for (; n + kLanes <= columns; n += kLanes) sum = hn::MulAdd(hn::LoadU(d, a + n), hn::LoadU(d, b + n), sum);
  if (n < columns) sum = hn::MulAdd(LoadTail(a + n, columns - n), LoadTail(b + n, columns - n), sum);
  return SumLanes(sum);
}

class BackwardWorker {
 public:
  explicit BackwardWorker(const BackwardCall& call)
      : call_(call), shape_(*call.shape), dropout_(shape_.dropout), hides_(Hides(shape_)) {
    group_ = shape_.heads / shape_.kv_heads;
    const int64_t keys = std::min(RoundUp(call.longest_keys, 16), kBackwardKeys);
    const int64_t queries = std::min(call.longest_queries, kBackwardQueries), all = call.longest_queries * group_;
    const int64_t depth = RoundUp(shape_.d_head, 16), value_depth = RoundUp(shape_.d_value, 16);
    const bool groups = call.longest_keys > kKeyGroup && !call.dquery_parts;
    const int64_t numbers = shape_.dropout > 0 ? DropoutRoom(queries * keys / 8) / 2 : 0;
    const int64_t sizes[] = {keys * depth,
                             keys * value_depth,
                             keys * depth,
                             queries * depth,
                             queries * value_depth,
                             queries * keys,
                             queries * keys,
                             keys,
                             keys,
                             RoundUp(all, 16),
                             numbers,
                             groups ? all * shape_.d_head : 0};
    float** parts[] = {&packed_key_, &packed_value_, &key_rows_, &query_rows_, &doutput_rows_, &scores_,
                       &dscores_,    &mask_row_,     &slope_,    &delta_,      &numbers_,      &dquery_group_};
    int64_t total = 0;
    for (const int64_t size : sizes) total += RoundUp(size, 16);
    scratch_ = Buffer<float>(total);
    float* at = scratch_.data();
    for (size_t part = 0; part < std::size(sizes); at += RoundUp(sizes[part++], 16)) *parts[part] = at;
    dquery_started_ = Buffer<bool>(group_ * (CeilDiv(call.longest_queries, kBackwardQueries) + 1));
  }

  void Run(const Piece& piece) {
    int64_t b = piece.sequence, task = piece.task;
    for (int64_t count = piece.count; count > 0;) {
      const int64_t groups = call_.dquery_parts ? KeyGroups(SequenceAt(shape_, b).keys) : 1;
      for (; count > 0 && task < shape_.kv_heads * groups; ++task, --count) {
        if (task + 1 < shape_.kv_heads * groups) {
          Prefetch(b, (task + 1) / groups);
        } else if (count > 1 && b + 1 < shape_.batch) {
          Prefetch(b + 1, 0);
        }
        StartTask(b, task / groups);
        if (call_.dquery_parts) {
          RunGroup(task % groups);
        } else {
          RunAllGroups();
        }
      }
      ++b;
      task = 0;
    }
  }

  void Run(const Region& region) {
    dmask_ = &region.target;
    for (int64_t b = region.sequences.begin; b < region.sequences.end; ++b) {
      for (int64_t h = region.kv_heads.begin; h < region.kv_heads.end; ++h) {
        StartTask(b, h);
        RunAllGroups();
      }
    }
  }

 private:
  struct Rows {
    const float* data;
    int64_t stride;
    const float* operator[](int64_t i) const { return data + i * stride; }
  };
  struct MutableRows {
    float* data;
    int64_t stride;
    float* operator[](int64_t i) const { return data + i * stride; }
  };

  Rows QueryOf(int64_t h) const {
    return {HeadRows(call_.query, shape_.query, shape_.query_offsets, b_, h), shape_.query.row_stride};
  }
  Rows OutputOf(const float* data, int64_t h) const {
    return {HeadRows(data, shape_.output, shape_.query_offsets, b_, h), shape_.output.row_stride};
  }
  MutableRows DQueryOf(int64_t h) const {
    return {HeadRows(call_.dquery, shape_.query, shape_.query_offsets, b_, h), shape_.query.row_stride};
  }
  float* Delta(int64_t h) const { return delta_ + (h - first_head_) * sequence_.queries; }

  void StartTask(int64_t b, int64_t kv_head) {
    b_ = b;
    first_head_ = kv_head * group_;
    sequence_ = SequenceAt(shape_, b);
    key_ = {HeadRows(call_.key, shape_.key, shape_.key_offsets, b, kv_head), shape_.key.row_stride};
    value_ = {HeadRows(call_.value, shape_.value, shape_.key_offsets, b, kv_head), shape_.value.row_stride};
    dkey_ = {HeadRows(call_.dkey, shape_.key, shape_.key_offsets, b, kv_head), shape_.key.row_stride};
    dvalue_ = {HeadRows(call_.dvalue, shape_.value, shape_.key_offsets, b, kv_head), shape_.value.row_stride};
    query_block_ = sequence_.queries ? BlockSize(sequence_.queries, kBackwardQueries, 1) : 1;
    query_blocks_ = CeilDiv(sequence_.queries, query_block_);
    for (int64_t h = first_head_; h < first_head_ + group_; ++h) {
      const Rows output = OutputOf(call_.output, h), doutput = OutputOf(call_.doutput, h);
      for (int64_t i = 0; i < sequence_.queries; ++i) Delta(h)[i] = Dot(output[i], doutput[i], shape_.d_value);
    }
  }

  HWY_INLINE void Prefetch(int64_t b, int64_t kv_head) const {
    const AttentionShape& s = shape_;
    const Sequence sequence = SequenceAt(s, b);
    const int64_t head = kv_head * group_, queries = sequence.queries, keys = sequence.keys;
    PrefetchHead<0>(call_.output, s.output, s.query_offsets, b, head, queries, s.d_value);
    PrefetchHead<0>(call_.doutput, s.output, s.query_offsets, b, head, queries, s.d_value);
    PrefetchHead<0>(call_.key, s.key, s.key_offsets, b, kv_head, keys, s.d_head);
    PrefetchHead<0>(call_.value, s.value, s.key_offsets, b, kv_head, keys, s.d_value);
    PrefetchHead<0>(call_.query, s.query, s.query_offsets, b, head, queries, s.d_head);
    PrefetchHead<1>(call_.dkey, s.key, s.key_offsets, b, kv_head, keys, s.d_head);
    PrefetchHead<1>(call_.dvalue, s.value, s.key_offsets, b, kv_head, keys, s.d_value);
    PrefetchHead<1>(call_.dquery, s.query, s.query_offsets, b, head, queries, s.d_head);
  }

  // Groups one after the other, each summed apart and then added: to the bit what separate tasks give.
  void RunAllGroups() {
    for (int64_t g = 0; g < KeyGroups(sequence_.keys); ++g) {
      RunGroup(g);
      if (g == 0) continue;
      for (int64_t h = first_head_; h < first_head_ + group_; ++h) {
        const MutableRows from = DQueryTarget(g, h), to = DQueryOf(h);
        for (int64_t i = 0; i < sequence_.queries; ++i) AddRow(from[i], shape_.d_head, to[i]);
      }
    }
  }

  MutableRows DQueryTarget(int64_t g, int64_t h) const {
    if (g == 0) return DQueryOf(h);
    if (!call_.dquery_parts) {
      return {dquery_group_ + (h - first_head_) * sequence_.queries * shape_.d_head, shape_.d_head};
    }
    const int64_t row = ((g - 1) * shape_.heads + h) * call_.total_queries + sequence_.query_row;
    return {call_.dquery_parts + row * shape_.d_head, shape_.d_head};
  }

  void RunGroup(int64_t g) {
    const int64_t size = std::max<int64_t>(KeyGroup(sequence_.keys), 1);
    const Range keys{g * size, std::min((g + 1) * size, sequence_.keys)};
    std::fill_n(dquery_started_.data(), group_ * query_blocks_, false);
    const int64_t block = keys.empty() ? 1 : BlockSize(keys.size(), kBackwardKeys, 16);
    for (int64_t first = keys.begin; first < keys.end; first += block) {
      RunKeys(g, {first, std::min(first + block, keys.end)});
    }
    for (int64_t h = 0; h < group_; ++h) {
      for (int64_t q = 0; q < query_blocks_; ++q) {
        if (!dquery_started_[h * query_blocks_ + q])
          ZeroRows(DQueryTarget(g, first_head_ + h), QueryBlock(q), shape_.d_head);
      }
    }
  }

  Range QueryBlock(int64_t q) const { return {q * query_block_, std::min((q + 1) * query_block_, sequence_.queries)}; }

  static void ZeroRows(const MutableRows& rows, Range which, int64_t columns) {
    for (int64_t i = which.begin; i < which.end; ++i) std::fill_n(rows[i], columns, 0.0f);
  }

  void RunKeys(int64_t g, Range keys) {
    PackTransposed(key_[keys.begin], key_.stride, keys.size(), shape_.d_head, packed_key_);
    PackTransposed(value_[keys.begin], value_.stride, keys.size(), shape_.d_value, packed_value_);
    key_view_ = WholeVectors(key_[keys.begin], key_.stride, keys.size(), shape_.d_head, sequence_.queries, key_rows_);
    if (hides_) key_view_ = finite_key_.Of(key_view_, keys.size(), shape_.d_head);
    bool started = false;
    for (int64_t h = first_head_; h < first_head_ + group_; ++h) {
      ScoreRules rules(shape_, b_, h, mask_row_);
      for (int64_t q = 0; q < query_blocks_; ++q) {
        const Range queries = QueryBlock(q), all = VisibleKeys(shape_, queries, sequence_.keys);
        const Range seen = Intersect({all.begin - keys.begin, all.end - keys.begin}, {0, keys.size()});
        if (seen.empty()) continue;
        if (!started && seen.size() < keys.size()) {
          ZeroRows(dkey_, keys, shape_.d_head);
          ZeroRows(dvalue_, keys, shape_.d_value);
          started = true;
        }
        bool& dquery_started = dquery_started_[(h - first_head_) * query_blocks_ + q];
        Differentiate(h, queries, keys, seen, rules);
        Accumulate(h, queries, keys, seen, started, dquery_started, DQueryTarget(g, h));
        started = dquery_started = true;
      }
    }
    if (started) return;
    ZeroRows(dkey_, keys, shape_.d_head);
    ZeroRows(dvalue_, keys, shape_.d_value);
  }

  // scores_ = P after dropout, dscores_ = scale * dS, both [queries, keys] where seen.
  void Differentiate(int64_t h, Range queries, Range keys, Range seen, ScoreRules& rules) {
    const int64_t rows = queries.size(), stride = RoundUp(keys.size(), 16);
    const Rows query = QueryOf(h), doutput = OutputOf(call_.doutput, h);
    if (sequence_.queries <= kFewQueries) {  // as forward does it: to the bit what the maxima were taken of
      ScoresByDots({query[queries.begin], query.stride}, rows, {key_[keys.begin], key_.stride}, keys.size(), seen,
                   shape_.d_head, scores_, stride);
    } else {
      PackedProduct({query[queries.begin], query.stride, 1}, rows, shape_.d_head, packed_key_, keys.size(), seen,
                    {scores_, stride});
    }
    PackedProduct({doutput[queries.begin], doutput.stride, 1}, rows, shape_.d_value, packed_value_, keys.size(), seen,
                  {dscores_, stride});
    const int64_t begin = seen.begin / 16 * 16, blocks = CeilDiv(seen.end - begin, 8);
    uint16_t* numbers = reinterpret_cast<uint16_t*>(numbers_);
    if (shape_.dropout > 0) {
      const int64_t row_blocks = CeilDiv(call_.longest_keys, 8);
      const int64_t row = h * call_.total_queries + sequence_.query_row + queries.begin;
      DropoutNumbers(shape_.dropout_key, row * row_blocks + (keys.begin + begin) / 8, row_blocks, rows, blocks,
                     numbers);
    }
    const int64_t first_row = h * call_.total_queries + sequence_.query_row;
    const bool sloped = shape_.softcap > 0.0f;
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t i = queries.begin + r;
      const Range all = VisibleKeys(shape_, i, sequence_.keys);
      const Range range = Intersect({all.begin - keys.begin, all.end - keys.begin}, seen);
      float *scores = scores_ + r * stride, *dscores = dscores_ + r * stride;
      if (!rules.plain()) rules.Apply(i, keys.begin, range, scores, sloped ? slope_ : nullptr);
      const bool finish_later = sloped || dmask_;
      const RowTerms terms{rules.factor(), call_.rows.maximum[first_row + i], call_.rows.log_sum[first_row + i],
                           Delta(h)[i], finish_later ? 1.0f : shape_.scale};
      DifferentiateRow(range, seen, terms, numbers + r * blocks * 8 - begin, scores, dscores);
      if (dmask_) AddMaskGradient(h, i, keys.begin, range, dscores);
      if (finish_later) FinishRow(range, dscores);
    }
  }

  struct RowTerms {
    float factor, maximum, log_sum, delta, scale;
  };

  void DifferentiateRow(Range range, Range seen, const RowTerms& terms, const uint16_t* numbers, float* scores,
                        float* dscores) const {
    const FloatTag d;
    const bool dropout = shape_.dropout > 0;
    const Vector maximum = hn::Set(d, terms.maximum), log_sum = hn::Set(d, terms.log_sum);
    const Vector factor = hn::Set(d, terms.factor), delta = hn::Set(d, terms.delta), scale = hn::Set(d, terms.scale);
    const Vector zero = hn::Zero(d);
    ZeroOutside(seen, range, scores);
    ZeroOutside(seen, range, dscores);
    ForScores(range, [&](auto lanes, int64_t j) ATTNKIT_BODY {
      Vector p = Exp(hn::MulSub(hn::Sub(hn::Load(d, scores + j), maximum), factor, log_sum)), dropped = p;
      Vector dp = hn::Load(d, dscores + j);
      if (dropout) {
        dp = dropout_.Apply(dp, numbers + j);
        dropped = dropout_.Apply(p, numbers + j);
      }
      // Where a key is hidden dp may be NaN.
      const Vector ds = hn::IfThenZeroElse(hn::Eq(p, zero), hn::Mul(hn::Mul(p, scale), hn::Sub(dp, delta)));
      hn::Store(lanes.Keep(dropped, zero), d, scores + j);
      hn::Store(lanes.Keep(ds, zero), d, dscores + j);
    });
  }

  void AddMaskGradient(int64_t h, int64_t i, int64_t first, Range range, const float* dscores) const {
    const int64_t* strides = dmask_->strides;
    float* to = dmask_->data + b_ * strides[0] + h * strides[1] + i * strides[2] + first * strides[3];
    if (strides[3] == 1) {
      AddRow(dscores + range.begin, range.size(), to + range.begin);
    } else {
      for (int64_t j = range.begin; j < range.end; ++j) to[j * strides[3]] += dscores[j];
    }
  }

  void FinishRow(Range range, float* dscores) const {
    const FloatTag d;
    const Vector scale = hn::Set(d, shape_.scale);
    ForScores(range, [&](auto lanes, int64_t j) ATTNKIT_BODY {
      Vector ds = hn::Mul(hn::Load(d, dscores + j), scale);
      if (shape_.softcap > 0.0f) ds = lanes.Keep(hn::Mul(ds, hn::Load(d, slope_ + j)), hn::Zero(d));
      hn::Store(ds, d, dscores + j);
    });
  }

  void Accumulate(int64_t h, Range queries, Range keys, Range seen, bool started, bool dquery_started,
                  const MutableRows& dquery) {
    const int64_t rows = queries.size(), stride = RoundUp(keys.size(), 16);
    const Rows query = QueryOf(h), doutput = OutputOf(call_.doutput, h);
    RowsView query_view =
        WholeVectors(query[queries.begin], query.stride, rows, shape_.d_head, keys.size(), query_rows_);
    RowsView doutput_view =
        WholeVectors(doutput[queries.begin], doutput.stride, rows, shape_.d_value, keys.size(), doutput_rows_);
    if (hides_) {
      query_view = finite_query_.Of(query_view, rows, shape_.d_head);
      doutput_view = finite_doutput_.Of(doutput_view, rows, shape_.d_value);
    }
    const int64_t key = keys.begin + seen.begin;
    AddProduct({scores_ + seen.begin, 1, stride}, seen.size(), {0, rows}, doutput_view, finite_doutput_, shape_.d_value,
               {dvalue_[key], dvalue_.stride, started});
    AddProduct({dscores_ + seen.begin, 1, stride}, seen.size(), {0, rows}, query_view, finite_query_, shape_.d_head,
               {dkey_[key], dkey_.stride, started});
    AddProduct({dscores_ + seen.begin, stride, 1}, rows, seen, key_view_, finite_key_, shape_.d_head,
               {dquery[queries.begin], dquery.stride, dquery_started});
  }

  // Of A with rows `depth` of the right-hand side, which came from `finite`.
  void AddProduct(const Left& a, int64_t rows, Range depth, const RowsView& right, const FiniteRows& finite,
                  int64_t columns, const Result& c) const {
    RowsProduct(a, rows, depth.size(), right.data + depth.begin * right.stride, right.stride, columns, c);
    if (hides_) finite.Add(a, rows, depth, c);
  }

  const BackwardCall& call_;
  const AttentionShape& shape_;
  const MaskGradient* dmask_ = nullptr;
  Buffer<float> scratch_;
  Buffer<bool> dquery_started_;  // [group, query blocks]
  float *packed_key_, *packed_value_, *key_rows_, *query_rows_, *doutput_rows_, *scores_, *dscores_, *mask_row_,
      *slope_;
  float *delta_, *numbers_, *dquery_group_;
  int64_t group_;  // query heads of a key/value head
  const DropoutRule dropout_;
  const bool hides_;
  FiniteRows finite_key_, finite_query_, finite_doutput_;

  // The task at hand.
  int64_t b_ = 0, first_head_ = 0, query_block_ = 1, query_blocks_ = 0;
  Sequence sequence_;
  Rows key_{}, value_{};
  MutableRows dkey_{}, dvalue_{};
  RowsView key_view_{};
};

void RunBackward(const BackwardCall& call, const Piece& piece) { BackwardWorker(call).Run(piece); }
void RunBackwardRegion(const BackwardCall& call, const Region& region) { BackwardWorker(call).Run(region); }

}  // namespace attnkit::kernels::attention::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attnkit::kernels {
namespace attention {

// With fewer pairs than this, the groups of keys of a long sequence become tasks of their own. The result is the same.
constexpr int64_t kManyPairs = 64;

static auto PieceKernel() { return ATTNKIT_DISPATCH(RunBackward); }
static auto RegionKernel() { return ATTNKIT_DISPATCH(RunBackwardRegion); }

static std::vector<Piece> BackwardPieces(const AttentionShape& shape, bool by_group) {
  const auto groups = [&](int64_t b) { return by_group ? KeyGroups(SequenceAt(shape, b).keys) : 1; };
  return SplitTasks(
      shape.batch, [&](int64_t b) { return shape.kv_heads * groups(b); },
      [&](int64_t b) {
        constexpr double kTaskCost = 8192;
        const Sequence sequence = SequenceAt(shape, b);
        const double pairs = static_cast<double>(sequence.queries * sequence.keys) / static_cast<double>(groups(b));
        const double depth = static_cast<double>(3 * shape.d_head + 2 * shape.d_value);
        return kTaskCost + pairs * depth * static_cast<double>(shape.heads / shape.kv_heads);
      });
}

// dquery += its parts, in order of the groups of keys.
static void AddParts(const BackwardCall& call) {
  const AttentionShape& shape = *call.shape;
  constexpr int64_t kRows = 64;
  const int64_t blocks = CeilDiv(call.longest_queries, kRows);
  ParallelFor(shape.batch * shape.heads * blocks, 4, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t b = task / blocks / shape.heads, h = task / blocks % shape.heads, first = task % blocks * kRows;
      const Sequence sequence = SequenceAt(shape, b);
      float* rows = HeadRows(call.dquery, shape.query, shape.query_offsets, b, h);
      for (int64_t i = first; i < std::min(first + kRows, sequence.queries); ++i) {
        for (int64_t g = 1; g < KeyGroups(sequence.keys); ++g) {
          const int64_t row = ((g - 1) * shape.heads + h) * call.total_queries + sequence.query_row + i;
          const float* from = call.dquery_parts + row * shape.d_head;
          float* to = rows + i * shape.query.row_stride;
          for (int64_t n = 0; n < shape.d_head; ++n) to[n] += from[n];
        }
      }
    }
  });
}

}  // namespace attention

void AttentionBackward(const AttentionShape& shape, const float* query, const float* key, const float* value,
                       const float* output, SoftmaxRows rows, const float* doutput, float* dquery, float* dkey,
                       float* dvalue, float* dmask) {
  using namespace attention;
  if (shape.batch == 0 || shape.heads == 0) return;
  CountProducts(shape, 3 * shape.d_head + 2 * shape.d_value);
  BackwardCall call{&shape,
                    query,
                    key,
                    value,
                    output,
                    doutput,
                    rows,
                    dquery,
                    dkey,
                    dvalue,
                    TotalQueries(shape),
                    LongestQueries(shape),
                    LongestKeys(shape),
                    nullptr};
  if (dmask && shape.mask_kind == MaskKind::kFloat) {
    MaskGradientPlan plan(shape, dmask);
    auto* kernel = RegionKernel();
    ParallelFor(static_cast<int64_t>(plan.regions().size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) kernel(call, plan.regions()[r]);
    });
    plan.Finish();
    return;
  }
  const int64_t groups = KeyGroups(call.longest_keys);
  Buffer<float> parts;
  if (groups > 1 && shape.batch * shape.kv_heads < kManyPairs) {
    parts = Buffer<float>((groups - 1) * shape.heads * call.total_queries * shape.d_head);
    call.dquery_parts = parts.data();
  }
  const std::vector<Piece> pieces = BackwardPieces(shape, call.dquery_parts != nullptr);
  auto* kernel = PieceKernel();
  ParallelFor(static_cast<int64_t>(pieces.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) kernel(call, pieces[p]);
  });
  if (call.dquery_parts) AddParts(call);
}

}  // namespace attnkit::kernels
#endif  // HWY_ONCE
