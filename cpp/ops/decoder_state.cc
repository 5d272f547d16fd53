#include <algorithm>
#include <numeric>

#include "attnkit/check.h"
#include "attnkit/kernels.h"
#include "attnkit/ops/decoding.h"
#include "ops/offsets.h"

namespace attnkit::ops {

DecoderState::DecoderState(std::vector<Tensor> key_values, Indices offsets, int64_t cells)
    : key_values_(std::move(key_values)), offsets_(std::move(offsets)), cell_width_(cells) {
  ATTNKIT_CHECK(!key_values_.empty(), "[decoder_state] expected keys and values of at least one layer");
  const Shape shape = key_values_[0].shape();
  ATTNKIT_CHECK(shape.size() == 2 && shape[1] % 2 == 0, "[decoder_state] expected keys and values [S, 2 D], got ",
                ToString(shape));
  CheckOffsets("decoder_state", "offsets", offsets_, shape[0]);
  for (const Tensor& layer : key_values_) {
    ATTNKIT_CHECK(layer.shape() == shape, "[decoder_state] expected keys and values of shape ", ToString(shape),
                  " in every layer, got ", ToString(layer.shape()));
  }
  width_ = shape[1] / 2;
  source_of_.resize(offsets_.size() - 1);
  std::iota(source_of_.begin(), source_of_.end(), 0);
  ATTNKIT_CHECK(cells >= 0, "[decoder_state] expected cells of a width of at least 0, got ", cells);
  if (cells) cells_ = key_values_[0].NewZeros({layers(), rows(), cells});
}

int64_t DecoderState::longest_source() const {
  int64_t longest = 0;
  for (int32_t s : source_of_) longest = std::max<int64_t>(longest, offsets_[s + 1] - offsets_[s]);
  return longest;
}

void DecoderState::Advance() {
  const int64_t count = rows(), position = position_++;
  if (cell_width_) return;
  if (position == capacity_) {
    const int64_t before = capacity_;
    capacity_ = std::max<int64_t>(16, 2 * before);
    std::vector<int32_t> wider(count * capacity_);
    for (int64_t r = 0; r < count; ++r) std::copy_n(places_.data() + r * before, before, wider.data() + r * capacity_);
    places_ = std::move(wider);
  }
  for (int64_t r = 0; r < count; ++r) places_[r * capacity_ + position] = static_cast<int32_t>(r);
  blocks_.push_back({count, key_values_[0].New({layers(), count, 2 * width_})});
}

void DecoderState::Select(const Indices& rows) {
  const int64_t before = this->rows(), count = rows.size(), used = cell_width_ ? 0 : position();
  std::vector<int32_t> sources(count), places(count * capacity_);
  for (int64_t i = 0; i < count; ++i) {
    ATTNKIT_CHECK(rows[i] >= 0 && rows[i] < before, "[decoder_state] expected rows below ", before, ", got ", rows[i]);
    sources[i] = source_of_[rows[i]];
    std::copy_n(places_.data() + rows[i] * capacity_, used, places.data() + i * capacity_);
  }
  if (cell_width_) SelectCells(rows, before);
  source_of_ = std::move(sources);
  places_ = std::move(places);
}

void DecoderState::SelectCells(const Indices& rows, int64_t before) {
  const int64_t count = rows.size();
  Tensor selected = cells_.New({layers(), count, cell_width_});
  for (int64_t l = 0; l < layers(); ++l) {
    cells_.kernels().GatherRows(cells_.data() + l * before * cell_width_, rows.On(cells_.context()), count, cell_width_,
                                selected.data() + l * count * cell_width_);
  }
  cells_ = std::move(selected);
}

float* DecoderState::Newest(int64_t layer) {
  Block& block = blocks_.back();
  return block.data.data() + layer * block.rows * 2 * width_;
}

std::vector<const float*> DecoderState::Blocks(int64_t layer) const {
  std::vector<const float*> blocks;
  blocks.reserve(blocks_.size());
  for (const Block& block : blocks_) blocks.push_back(block.data.data() + layer * block.rows * 2 * width_);
  return blocks;
}

}  // namespace attnkit::ops
