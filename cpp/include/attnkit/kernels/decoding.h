// Kernels of a step of decoding: attention of one query a row, and the output layer without its logits.
#pragma once

#include <cstdint>

#include "attnkit/kernels/gemm.h"
#include "attnkit/kernels/kernel.h"

namespace attnkit::kernels {

constexpr int64_t kMeanOfHeads = -1;

// Attention of one query a row, [rows, heads * d_head] → [rows, heads * d_head]. A key and its value lie side by side,
// 2 * heads * d_head numbers. Each row is computed alone, in one order.
struct StepAttention {
  int64_t rows = 0, heads = 0, d_head = 0;
  const float* query = nullptr;
  int64_t query_row = 0;  // numbers from one row to the next
  float scale = 1.0f;
  const float* bias = nullptr;  // if set: added to the scaled score of head h and key j at h * bias_row + j
  int64_t bias_row = 0;
  float* output = nullptr;
  // If set: the weights of a head, or their mean over heads, [rows, weights_row], zeros behind the keys of a row. The
  // output is the same to the bit with or without.
  float* weights = nullptr;
  int64_t weights_row = 0, weights_head = kMeanOfHeads;
};

// Key j of row r is row places[r * places_row + j] of blocks[j].
struct CachedKeys {
  const float* const* blocks;
  const int32_t* places;
  int64_t places_row, count;
};
void AttendToCache(const StepAttention& attention, const CachedKeys& keys);

// The keys of row r are rows offsets[s] to offsets[s + 1] of `data`, s = source_of[r]. None gives zeros.
struct SharedKeys {
  const float* data;
  const int32_t* offsets;
  const int32_t* source_of;
};
void AttendToMemory(const StepAttention& attention, const SharedKeys& keys);

// Tokens of each row, ids[offsets[r]] to ids[offsets[r + 1]] in rising order, whose log-probabilities are asked for;
// those with a non-zero `excluded` are not among the row's best.
struct AskedTokens {
  const int32_t* offsets;
  const int32_t* ids;
  const uint8_t* excluded;
};

// Where not null: row r may only write the columns j with a non-zero allowed[groups[r] * V + j]. The others have no
// part in the softmax.
struct AllowedTokens {
  const uint8_t* allowed = nullptr;
  const int32_t* groups = nullptr;
};

// log softmax(hidden · weight + bias), of which only the k largest numbers of each row are written, values and indices
// [rows, k], largest first, ties to the lower index, and those asked for. The logits are made and looked at a block of
// columns at a time (the sum by Milakov & Gimelshein, 2018). hidden [rows, weight.k]. Where fewer than k can be written
// the rest is -inf.
void BestTokens(const float* hidden, int64_t rows, const PackedMatrix& weight, const float* bias, int64_t k,
                const AskedTokens& asked, const AllowedTokens& allowed, float* values, int32_t* indices,
                float* asked_values);

// Their slots in the table of a device.
struct DecodingKernels : virtual Table {
  Kernel<kernels::AttendToCache> AttendToCache{"cached_attention", *this};
  Kernel<kernels::AttendToMemory> AttendToMemory{"memory_attention", *this};
  Kernel<kernels::BestTokens> BestTokens{"best_tokens", *this};
};

}  // namespace attnkit::kernels
