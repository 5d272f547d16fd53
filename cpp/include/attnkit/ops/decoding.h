// A step of decoding: what the hypotheses remember, a whole stack of Transformer decoder layers in one call, and the
// best tokens. Never recorded by the tape.
#pragma once

#include <cstdint>
#include <vector>

#include "attnkit/allocator.h"
#include "attnkit/kernels/decoding.h"
#include "attnkit/kernels/gemm.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/ops/indices.h"
#include "attnkit/tensor.h"

namespace attnkit::ops {

// The hypotheses that are being written, one a row: keys and values of their tokens, and those of the sources, which
// hypotheses share.
//
// A step's keys and values stay where they were written, in a block a position. A hypothesis remembers the row that its
// history has in each block, so that reordering, repeating and dropping rows moves 4 bytes a token. Layers with an SSRU
// in place of self-attention remember one cell a row instead.
class DecoderState {
 public:
  // key_values: for each layer [S, 2 W], keys beside values, of all heads; offsets [B + 1]. Starts with one row a
  // source. cells: the width of the SSRUs' state, 0 where the layers attend to themselves.
  DecoderState(std::vector<Tensor> key_values, Indices offsets, int64_t cells = 0);

  int64_t rows() const { return static_cast<int64_t>(source_of_.size()); }
  int64_t layers() const { return static_cast<int64_t>(key_values_.size()); }
  int64_t width() const { return width_; }
  const Kernels& kernels() const { return key_values_[0].kernels(); }  // of the device where it lies
  int64_t position() const { return position_; }
  int64_t cells() const { return cell_width_; }
  int64_t longest_source() const;  // among the sources of the rows

  // Makes place for the next token of every row.
  void Advance();
  // Is there place for a token of every row, as it is now?
  bool is_advanced() const { return !blocks_.empty() && blocks_.back().rows == rows(); }
  // New row i is old row rows[i].
  void Select(const Indices& rows);

  // The newest keys and values of a layer, [rows, 2 W]; after Advance.
  float* Newest(int64_t layer);
  // The cells of a layer, [rows, cells()]: those of the newest token, once its step was taken.
  float* Cells(int64_t layer) { return cells_.data() + layer * rows() * cell_width_; }
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

  void SelectCells(const Indices& rows, int64_t before);

  std::vector<Tensor> key_values_;
  Indices offsets_;
  int64_t width_, cell_width_, position_ = 0, capacity_ = 0;
  std::vector<int32_t> source_of_;
  std::vector<int32_t> places_;  // [rows, capacity]: in which row of block j token j of the history lies
  std::vector<Block> blocks_;
  Tensor cells_;  // [layers, rows, cells()]
};

// Self-attention of the newest token of every row: projected [rows, 3 W] is its query, key and value. The key and value
// are written to the state, after Advance; the query attends to them and to those before. -> [rows, W], W the width of
// all heads together. position_bias, where defined: [heads, 2 * reach + 1], added to the scores by distance of key and
// query, as in AttentionOptions.
Tensor CachedAttention(const Tensor& projected, DecoderState& state, int64_t layer, int64_t heads,
                       const Tensor& position_bias);
// A step of a layer's SSRU: projected [rows, 2 cells()] as in Ssru, bias [cells()] -> [rows, cells()]. After Advance.
Tensor CachedSsru(const Tensor& projected, const Tensor& bias, DecoderState& state, int64_t layer);
// Attention to the sources: query [rows, W] -> [rows, W]. weights, if not null: [rows, longest source], of one
// head, or the mean over heads.
Tensor MemoryAttention(const Tensor& query, const DecoderState& state, int64_t layer, int64_t heads,
                       const Tensor& position_bias, Tensor* weights, int64_t weights_head = kernels::kMeanOfHeads);

// Which weights say what the tokens that are written stem from: those of a head, or the mean over heads, of a layer,
// counted from 0; -1 is the last.
struct Alignment {
  int64_t layer = -1, head = kernels::kMeanOfHeads;
};

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
    // Or, in all layers: an SSRU in their place, [2 D, D]: gate and candidate; its bias [D] is the gate's.
    Projection ssru;
    Norm cross_norm;
    Projection cross_query, cross_output;  // [W, D], [D, W]
    Norm feed_forward_norm;
    Projection up, down;  // [F, D], [D, F]
    // [F, D], or undefined. With it the network is down(activation(gate(x)) * up(x)) (Shazeer, 2020).
    Projection gate;
  };

  // pre_norm: x + sublayer(norm(x)), else norm(x + sublayer(x)). last_norm.weight may be undefined. Weights are taken
  // as they are now, packed for the precision and the instruction set of now.
  // `alignment`: of which attention to the sources a step gives the weights.
  DecoderStack(std::vector<Layer> layers, Norm last_norm, bool pre_norm, int64_t heads, kernels::Activation activation,
               Alignment alignment = {});

  // The next token of every row, x [rows, D] -> [rows, D]. weights as in MemoryAttention, of the alignment's layer.
  // position_bias as in CachedAttention, where defined, for the self-attention of every layer.
  Tensor Step(const Tensor& x, DecoderState& state, Tensor* weights, const Tensor& position_bias = Tensor()) const;

 private:
  std::vector<Layer> layers_;
  Norm last_norm_;
  bool pre_norm_;
  int64_t heads_, attended_ = 0, widest_ = 0, widest_gate_ = 0;
  kernels::Activation activation_;
  Alignment alignment_;
};

// The best numbers of log softmax(hidden · weight^T + bias), as kernels::BestTokens gives them: hidden [rows, D],
// weight [V, D], bias [V] or undefined; values and indices [rows, k], asked_values as asked_ids.
struct BestTokensOptions {
  int64_t k = 1;
  Indices asked_offsets, asked_ids;   // asked_ids rise within a row
  const uint8_t* excluded = nullptr;  // for each of asked_ids
};
void BestTokens(const Tensor& hidden, const Tensor& weight, const Tensor& bias, const BestTokensOptions& options,
                float* values, int32_t* indices, float* asked_values);

}  // namespace attnkit::ops
