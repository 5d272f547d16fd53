// A step of decoding: what the hypotheses remember, a whole stack of Transformer decoder layers in one call, and the
// best tokens. Never recorded by the tape.
#pragma once

#include <cstdint>
#include <vector>

#include "attnkit/allocator.h"
#include "attnkit/kernels/gemm.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/ops/indices.h"
#include "attnkit/tensor.h"

namespace attnkit::ops {

// The hypotheses that are being written, one a row: keys and values of their tokens, and those of the sources, which
// hypotheses share.
//
// A step's keys and values stay where they were written, in a block a position. A hypothesis remembers the row that its
// history has in each block, so that reordering, repeating and dropping rows moves 4 bytes a token.
class DecoderState {
 public:
  // key_values: for each layer [S, 2 W], keys beside values, of all heads; offsets [B + 1]. Starts with one row a
  // source.
  DecoderState(std::vector<Tensor> key_values, Indices offsets);

  int64_t rows() const { return static_cast<int64_t>(source_of_.size()); }
  int64_t layers() const { return static_cast<int64_t>(key_values_.size()); }
  int64_t width() const { return width_; }
  const Kernels& kernels() const { return key_values_[0].kernels(); }  // of the device where it lies
  int64_t position() const { return static_cast<int64_t>(blocks_.size()); }
  int64_t longest_source() const;  // among the sources of the rows

  // Makes place for the next token of every row.
  void Advance();
  // Is there place for a token of every row, as it is now?
  bool is_advanced() const { return !blocks_.empty() && blocks_.back().rows == rows(); }
  // New row i is old row rows[i].
  void Select(const Indices& rows);

  // The newest keys and values of a layer, [rows, 2 W]; after Advance.
  float* Newest(int64_t layer);
  // Pointers to the layer's part of each block.
  std::vector<const float*> Blocks(int64_t layer) const;
  const int32_t* places() const { return places_.data(); }
  int64_t places_row() const { return capacity_; }
  const Tensor& key_value(int64_t layer) const { return key_values_[layer]; }
  const int32_t* offsets() const { return offsets_.data(); }
  const int32_t* source_of() const { return source_of_.data(); }

 private:
  struct Block {
    int64_t rows;
    Tensor data;  // [layers, rows, 2 W]
  };

  std::vector<Tensor> key_values_;
  Indices offsets_;
  int64_t width_, capacity_ = 0;
  std::vector<int32_t> source_of_;
  std::vector<int32_t> places_;  // [rows, capacity]: in which row of block j token j of the history lies
  std::vector<Block> blocks_;
};

// Self-attention of the newest token of every row: projected [rows, 3 W] is its query, key and value. The key and value
// are written to the state, after Advance; the query attends to them and to those before. -> [rows, W], W the width of
// all heads together. position_bias, where defined: [heads, 2 * reach + 1], added to the scores by distance of key and
// query, as in AttentionOptions.
Tensor CachedAttention(const Tensor& projected, DecoderState& state, int64_t layer, int64_t heads,
                       const Tensor& position_bias);
// Attention to the sources: query [rows, W] -> [rows, W]. weights, if not null: [rows, longest source], the mean over
// heads.
Tensor MemoryAttention(const Tensor& query, const DecoderState& state, int64_t layer, int64_t heads,
                       const Tensor& position_bias, Tensor* weights);

// A stack of Transformer decoder layers (Vaswani et al., 2017) over a state, all layers in one call.
class DecoderStack {
 public:
  struct Projection {
    Tensor weight, bias;
    std::shared_ptr<const kernels::PackedMatrix> packed;  // by the stack, in the precision of its making
  };
  struct Norm {
    Tensor weight, bias;  // RMSNorm has no bias
    float eps = 1e-5f;
    kernels::Norm kind = kernels::Norm::kLayer;
  };
  struct Layer {
    Norm self_norm;
    Projection self_projection, self_output;  // [3 W, D]: query, key and value; [D, W]; W = heads * head_dim
    Norm cross_norm;
    Projection cross_query, cross_output;  // [W, D], [D, W]
    Norm feed_forward_norm;
    Projection up, down;  // [F, D], [D, F]
    // [F, D], or undefined. With it the network is down(activation(gate(x)) * up(x)) (Shazeer, 2020).
    Projection gate;
  };

  // pre_norm: x + sublayer(norm(x)), else norm(x + sublayer(x)). last_norm.weight may be undefined. Weights are taken
  // as they are now, packed for the precision and the instruction set of now.
  DecoderStack(std::vector<Layer> layers, Norm last_norm, bool pre_norm, int64_t heads, kernels::Activation activation);

  // The next token of every row, x [rows, D] -> [rows, D]. weights as in MemoryAttention, of the last layer.
  // position_bias as in CachedAttention, where defined, for the self-attention of every layer.
  Tensor Step(const Tensor& x, DecoderState& state, Tensor* weights, const Tensor& position_bias = Tensor()) const;

 private:
  std::vector<Layer> layers_;
  Norm last_norm_;
  bool pre_norm_;
  int64_t heads_, attended_ = 0, widest_ = 0, widest_gate_ = 0;
  kernels::Activation activation_;
};

// The best numbers of log softmax(hidden · weight^T + bias), as kernels::BestTokens gives them: hidden [rows, D],
// weight [V, D], bias [V] or undefined; values and indices [rows, k], asked_values as asked_ids.
struct BestTokensOptions {
  int64_t k = 1;
  Indices asked_offsets, asked_ids;   // asked_ids rise within a row
  const uint8_t* excluded = nullptr;  // for each of asked_ids
  const uint8_t* allowed = nullptr;   // [groups, V]; null: everything
  int64_t allowed_groups = 0;
  Indices groups;
};
void BestTokens(const Tensor& hidden, const Tensor& weight, const Tensor& bias, const BestTokensOptions& options,
                float* values, int32_t* indices, float* asked_values);

}  // namespace attnkit::ops
