// Biases that depend on the distance of key and query alone, written out by distance, and their gradient.
#include <algorithm>

#include "attnkit/kernels/attention.h"

namespace attnkit::kernels {
namespace {

// The column of the table for column `at` of a head's row of `DistanceColumns`.
int64_t TableColumn(const PositionBias& bias, int64_t queries, int64_t at) {
  return std::clamp(at - (queries - 1) - bias.query_offset, -bias.reach, bias.reach) + bias.reach;
}

}  // namespace

void SpreadPositionBias(const PositionBias& bias, const float* table, int64_t queries, int64_t keys, float* spread) {
  const int64_t columns = DistanceColumns(queries, keys), width = 2 * bias.reach + 1;
  for (int64_t h = 0; h < bias.heads; ++h) {
    for (int64_t at = 0; at < columns; ++at)
      spread[h * columns + at] = table[h * width + TableColumn(bias, queries, at)];
  }
}

void GatherPositionBias(const PositionBias& bias, const float* dspread, int64_t queries, int64_t keys, float* dtable) {
  const int64_t columns = DistanceColumns(queries, keys), width = 2 * bias.reach + 1;
  std::fill_n(dtable, bias.heads * width, 0.0f);
  for (int64_t h = 0; h < bias.heads; ++h) {
    // Columns of one table column follow each other.
    for (int64_t at = 0; at < columns;) {
      const int64_t column = TableColumn(bias, queries, at);
      double sum = 0;
      for (; at < columns && TableColumn(bias, queries, at) == column; ++at) sum += dspread[h * columns + at];
      dtable[h * width + column] = static_cast<float>(sum);
    }
  }
}

}  // namespace attnkit::kernels
