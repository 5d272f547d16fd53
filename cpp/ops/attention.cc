#include <algorithm>
#include <cmath>

#include "attnkit/autograd.h"
#include "attnkit/check.h"
#include "attnkit/kernels/attention.h"
#include "attnkit/op_scope.h"
#include "attnkit/ops/attention.h"
#include "ops/offsets.h"
#include "ops/position_bias.h"

namespace attnkit::ops {
namespace {

using kernels::AttentionShape;
using kernels::HeadsLayout;
using kernels::MaskKind;

// Query, key and value, which may lie side by side in one tensor: where each begins.
struct Operand {
  Tensor source;
  int64_t column = 0;
  float* data() const { return source.data() + column; }
};

struct Saved {
  Operand query, key, value;
  Tensor output, rows, mask;
  AttentionShape shape;
  Indices query_offsets, key_offsets;  // keep what `shape` points to alive
  std::shared_ptr<const void> bool_mask_owner;
  bool need_mask;
  kernels::PositionBias position_bias;            // where heads > 0: `mask` is its table written out
  int64_t longest_queries = 0, longest_keys = 0;  // of it

  // Of `mask` or of its gradient: the element of the first query and the first key.
  float* MaskOrigin(const Tensor& x) const { return x.data() + std::max<int64_t>(longest_queries - 1, 0); }
  kernels::SoftmaxRows softmax_rows() const { return {rows.data(), rows.data() + rows.dim(1)}; }
};

// The gradient of the table of a position bias, from that of the bias written out.
Tensor TableGradient(const Saved& s, const Tensor& dmask) {
  const Tensor dtable = dmask.New({s.position_bias.heads, 2 * s.position_bias.reach + 1});
  dmask.kernels().GatherPositionBias(s.position_bias, dmask.data(), s.longest_queries, s.longest_keys, dtable.data());
  return dtable;
}

std::vector<Tensor> AttentionBackward(const Saved& s, const std::vector<Tensor>& dy) {
  // Operands that share a source share its gradient.
  const Tensor dquery = s.query.source.New(s.query.source.shape());
  const Tensor dkey = s.key.source.SameAs(s.query.source) ? dquery : s.key.source.New(s.key.source.shape());
  const Tensor dvalue = s.value.source.SameAs(s.query.source) ? dquery
                        : s.value.source.SameAs(s.key.source) ? dkey
                                                              : s.value.source.New(s.value.source.shape());
  const Tensor dmask = s.need_mask ? s.mask.NewZeros(s.mask.shape()) : Tensor();
  dquery.kernels().AttentionBackward(s.shape, s.query.data(), s.key.data(), s.value.data(), s.output.data(),
                                     s.softmax_rows(), dy[0].data(), dquery.data() + s.query.column,
                                     dkey.data() + s.key.column, dvalue.data() + s.value.column,
                                     dmask ? s.MaskOrigin(dmask) : nullptr);
  return {dquery, dkey.SameAs(dquery) ? Tensor() : dkey,
          dvalue.SameAs(dquery) || dvalue.SameAs(dkey) ? Tensor() : dvalue,
          dmask && s.position_bias.heads > 0 ? TableGradient(s, dmask) : dmask};
}

void ApplyOptions(const AttentionOptions& options, AttentionShape& shape) {
  ATTNKIT_CHECK(options.dropout >= 0.0f && options.dropout < 1.0f, "[attention] expected dropout in [0, 1), got ",
                options.dropout);
  ATTNKIT_CHECK(options.softcap >= 0.0f, "[attention] expected softcap >= 0, got ", options.softcap);
  ATTNKIT_CHECK(options.window_left >= -1 && options.window_right >= -1,
                "[attention] expected a window of two numbers from -1, got ", options.window_left, " and ",
                options.window_right);
  // Further than this there is no key to see; sums of positions stay in range.
  constexpr int64_t kFar = int64_t{1} << 60;
  ATTNKIT_CHECK(options.query_offset >= -kFar && options.query_offset <= kFar,
                "[attention] expected query_offset within 2^60 of 0, got ", options.query_offset);
  shape.scale =
      options.scale ? *options.scale : 1.0f / std::sqrt(static_cast<float>(std::max<int64_t>(1, shape.d_head)));
  shape.softcap = options.softcap;
  shape.causal = options.causal;
  shape.window_left = std::min(options.window_left, 2 * kFar);
  shape.window_right = std::min(options.window_right, 2 * kFar);
  shape.query_offset = options.query_offset;
  shape.dropout = options.dropout;
  if (options.dropout > 0.0f) shape.dropout_key = NextPhiloxKey();
}

void SetMask(const Shape& mask_shape, AttentionShape& shape) {
  const int64_t full[4] = {shape.batch, shape.heads, shape.queries, shape.keys};
  const int64_t rank = static_cast<int64_t>(mask_shape.size());
  bool fits = rank <= 4;
  int64_t stride = 1;
  for (int64_t i = rank; fits && i-- > 0;) {
    const int64_t axis = 4 - rank + i;
    fits = mask_shape[i] == full[axis] || mask_shape[i] == 1;
    shape.mask_strides[axis] = mask_shape[i] == 1 ? 0 : stride;
    stride *= mask_shape[i];
  }
  ATTNKIT_CHECK(fits, "[attention] expected mask that broadcasts to ", ToString({full, full + 4}), ", got ",
                ToString(mask_shape));
}

// A mask of the host's memory, on the device.
std::shared_ptr<Storage> CopyMask(const uint8_t* mask, const Shape& shape, const Context& context) {
  auto copy = std::make_shared<Storage>(context, DType::kUInt8, SizeOf(shape));
  context.CopyFromHost(mask, copy->size(), copy->data());
  return copy;
}

void ApplyMask(const AttentionOptions& options, Saved& saved) {
  AttentionShape& shape = saved.shape;
  if (options.bool_mask) {
    shape.mask_kind = MaskKind::kBool;
    shape.mask = options.bool_mask;
    SetMask(options.bool_mask_shape, shape);
    saved.bool_mask_owner = options.bool_mask_owner;
    const Context& context = saved.query.source.context();
    if (context.is_cpu()) return;
    const auto copy = CopyMask(options.bool_mask, options.bool_mask_shape, context);
    shape.mask = copy->data();
    saved.bool_mask_owner = copy;
  } else if (options.mask) {
    shape.mask_kind = MaskKind::kFloat;
    shape.mask = options.mask.data();
    SetMask(options.mask.shape(), shape);
  }
}

int64_t Longest(const Indices& offsets) {
  int64_t longest = 0;
  for (int64_t b = 0; b + 1 < offsets.size(); ++b) longest = std::max<int64_t>(longest, offsets[b + 1] - offsets[b]);
  return longest;
}

// The table written out by distance, as the mask of all sentences.
void ApplyPositionBias(const Tensor& table, Saved& saved) {
  AttentionShape& shape = saved.shape;
  saved.position_bias = PositionBiasOf("packed_attention", table, shape.heads, shape.query_offset);
  saved.longest_queries = Longest(saved.query_offsets);
  saved.longest_keys = Longest(saved.key_offsets);
  const int64_t columns = kernels::DistanceColumns(saved.longest_queries, saved.longest_keys);
  if (columns == 0) saved.longest_queries = 0;  // no pair of query and key
  saved.mask = table.New({shape.heads, columns});
  table.kernels().SpreadPositionBias(saved.position_bias, table.data(), saved.longest_queries, saved.longest_keys,
                                     saved.mask.data());
  saved.need_mask = table.requires_grad();
  shape.mask_kind = MaskKind::kFloat;
  shape.mask = saved.MaskOrigin(saved.mask);
  const int64_t strides[4] = {0, columns, -1, 1};
  std::copy_n(strides, 4, shape.mask_strides);
}

// Runs the kernel and records. `saved` has everything but output and rows.
AttentionResult Run(Saved saved, Shape output_shape, Shape weights_shape, const std::vector<Tensor>& inputs,
                    bool return_weights) {
  AttentionResult result;
  const Tensor& query = saved.query.source;
  result.output = query.New(std::move(output_shape));
  saved.rows = query.New({2, saved.shape.heads * kernels::TotalQueries(saved.shape)});
  if (return_weights) result.weights = query.New(std::move(weights_shape));
  query.kernels().AttentionForward(saved.shape, saved.query.data(), saved.key.data(), saved.value.data(),
                                   result.output.data(), saved.softmax_rows(),
                                   result.weights ? result.weights.data() : nullptr);
  if (NeedsGrad(inputs)) {
    saved.output = Kept(result.output);
    Record("attention", inputs, {&result.output},
           [saved](std::vector<Tensor>& dy) { return AttentionBackward(saved, dy); });
  }
  return result;
}

// [B, heads, length, width], contiguous.
HeadsLayout ContiguousLayout(const Tensor& x) {
  return {x.dim(1) * x.dim(2) * x.dim(3), x.dim(2) * x.dim(3), x.dim(3)};
}

void CheckHeads(const Tensor& query, const Tensor& key, const Tensor& value) {
  ATTNKIT_CHECK(query.rank() == 4, "[attention] expected query of shape [B, H, N, D], got ", ToString(query.shape()));
  ATTNKIT_CHECK(key.rank() == 4 && key.dim(0) == query.dim(0) && key.dim(3) == query.dim(3),
                "[attention] expected key of shape [", query.dim(0), ", Hk, M, ", query.dim(3), "], got ",
                ToString(key.shape()));
  ATTNKIT_CHECK(key.dim(1) > 0 && query.dim(1) % key.dim(1) == 0, "[attention] expected ", query.dim(1),
                " query heads to be a multiple of the key heads, got ", key.dim(1));
  ATTNKIT_CHECK(
      value.rank() == 4 && value.dim(0) == key.dim(0) && value.dim(1) == key.dim(1) && value.dim(2) == key.dim(2),
      "[attention] expected value of shape [", key.dim(0), ", ", key.dim(1), ", ", key.dim(2), ", Dv], got ",
      ToString(value.shape()));
}

// Splits `columns` of a tensor evenly into `parts` of heads.
int64_t HeadWidth(const char* what, int64_t columns, int64_t parts) {
  ATTNKIT_CHECK(parts > 0 && columns % parts == 0, "[packed_attention] expected ", what,
                " whose columns are a multiple of ", parts, ", got ", columns);
  return columns / parts;
}

}  // namespace

AttentionResult Attention(const Tensor& query, const Tensor& key, const Tensor& value,
                          const AttentionOptions& options) {
  const OpScope scope("attention", {&query, &key, &value, &options.mask});
  CheckHeads(query, key, value);
  ATTNKIT_CHECK(!options.position_bias, "[attention] expected no position_bias; use packed_attention() for it");
  Saved saved;
  AttentionShape& shape = saved.shape;
  shape.batch = query.dim(0), shape.heads = query.dim(1), shape.kv_heads = key.dim(1);
  shape.queries = query.dim(2), shape.keys = key.dim(2);
  shape.d_head = query.dim(3), shape.d_value = value.dim(3);
  const Shape output_shape{shape.batch, shape.heads, shape.queries, shape.d_value};
  shape.query = ContiguousLayout(query);
  shape.key = ContiguousLayout(key);
  shape.value = ContiguousLayout(value);
  shape.output = {shape.heads * shape.queries * shape.d_value, shape.queries * shape.d_value, shape.d_value};
  ApplyOptions(options, shape);
  // Detached copies are distinct handles even when one tensor is passed twice, so each gets its own gradient.
  saved.query = {query.Detach()};
  saved.key = {key.Detach()};
  saved.value = {value.Detach()};
  saved.mask = options.mask ? options.mask.Detach() : Tensor();
  saved.need_mask = options.mask.requires_grad();
  ApplyMask(options, saved);
  return Run(std::move(saved), output_shape, {shape.batch, shape.heads, shape.queries, shape.keys},
             {query, key, value, options.mask}, options.return_weights);
}

AttentionResult PackedAttention(const Tensor& query, const Tensor& key, const Tensor& value,
                                const Indices& query_offsets, const Indices& key_offsets, int64_t heads,
                                int64_t kv_heads, const AttentionOptions& options) {
  const OpScope scope("packed_attention", {&query, &key, &value, &options.position_bias});
  ATTNKIT_CHECK(heads > 0 && kv_heads > 0 && heads % kv_heads == 0,
                "[packed_attention] expected heads to be a multiple of kv_heads, got ", heads, " and ", kv_heads);
  ATTNKIT_CHECK(query.rank() == 2 && (!key || key.rank() == 2) && (!value || value.rank() == 2),
                "[packed_attention] expected query, key and value of shape [T, columns], got ",
                ToString(query.shape()));
  ATTNKIT_CHECK(key || !value, "[packed_attention] expected a key beside the value");
  ATTNKIT_CHECK(!options.mask && !options.bool_mask, "[packed_attention] expected no mask; use attention() for masks");
  ATTNKIT_CHECK(query_offsets.size() == key_offsets.size(),
                "[packed_attention] expected as many key offsets as query offsets, got ", key_offsets.size(), " and ",
                query_offsets.size());

  Saved saved;
  AttentionShape& shape = saved.shape;
  shape.heads = heads, shape.kv_heads = kv_heads;
  const Tensor q = query.Detach(), k = key ? key.Detach() : q, v = value ? value.Detach() : k;
  shape.d_head = HeadWidth("query", q.dim(1), key ? heads : heads + 2 * kv_heads);
  const int64_t key_column = key ? 0 : heads * shape.d_head;
  if (value) {
    shape.d_value = HeadWidth("value", v.dim(1), kv_heads);
  } else {
    shape.d_value = shape.d_head;
  }
  const int64_t key_columns = kv_heads * shape.d_head * (value ? 1 : 2);
  ATTNKIT_CHECK(!key || k.dim(1) == key_columns, "[packed_attention] expected key of shape [S, ", key_columns,
                "], got ", ToString(k.shape()));
  ATTNKIT_CHECK(v.dim(0) == k.dim(0), "[packed_attention] expected value of ", k.dim(0), " rows, got ", v.dim(0));
  CheckOffsets("packed_attention", "query_offsets", query_offsets, q.dim(0));
  CheckOffsets("packed_attention", "key_offsets", key_offsets, k.dim(0));

  saved.query = {q, 0};
  saved.key = {k, key_column};
  saved.value = {v, value ? 0 : key_column + kv_heads * shape.d_head};
  saved.query_offsets = query_offsets;
  saved.key_offsets = key_offsets;
  saved.need_mask = false;
  shape.batch = query_offsets.size() - 1;
  shape.query_offsets = query_offsets.data();
  shape.key_offsets = key_offsets.data();
  shape.query = {0, shape.d_head, q.dim(1)};
  shape.key = {0, shape.d_head, k.dim(1)};
  shape.value = {0, shape.d_value, v.dim(1)};
  shape.output = {0, shape.d_value, heads * shape.d_value};
  ApplyOptions(options, shape);
  if (options.position_bias) ApplyPositionBias(options.position_bias, saved);
  const Shape output_shape{q.dim(0), heads * shape.d_value}, weights_shape{kernels::WeightsSize(shape)};
  return Run(std::move(saved), output_shape, weights_shape, {query, key, value, options.position_bias},
             options.return_weights);
}

}  // namespace attnkit::ops
