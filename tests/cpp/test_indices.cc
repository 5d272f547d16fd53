// Indices: what is known of them, and the checks that rest on it.
#include "attnkit/ops/indices.h"

#include <numeric>

#include "attnkit/ops/rows.h"
#include "ops/offsets.h"
#include "support.h"

namespace attnkit {
namespace {

using ops::Indices;

TEST_CASE("indices: what is known of them") {
  const Indices none, empty(std::vector<int32_t>{}), ids({5, -3, 8, 8, 0}), offsets({0, 0, 4, 9});
  CHECK_FALSE(none);
  CHECK(none.size() == 0);
  CHECK_FALSE(none.AreOffsets());
  CHECK(empty);
  CHECK(empty.size() == 0);
  CHECK(empty.Within(0));
  CHECK_FALSE(empty.AreOffsets());
  CHECK(ids.minimum() == -3);
  CHECK(ids.maximum() == 8);
  CHECK_FALSE(ids.Within(9));
  CHECK_FALSE(ids.AreOffsets());
  CHECK(offsets.AreOffsets());
  CHECK(offsets.Within(10));
  CHECK_FALSE(offsets.Within(9));
  CHECK_FALSE(Indices({1, 2}).AreOffsets());
  CHECK_FALSE(Indices({0, 2, 1}).AreOffsets());
}

TEST_CASE("indices: copied when they are made, shared by copies") {
  std::vector<int32_t> values(1000);
  std::iota(values.begin(), values.end(), 0);
  const Indices indices(values), copy = indices;
  values[7] = -1;
  CHECK(indices[7] == 7);
  CHECK(copy.data() == indices.data());
}

TEST_CASE("indices: their memory is the allocator's") {
  const int64_t before = GetAllocatorStats().bytes_in_use;
  {
    const Indices indices = Indices(std::vector<int32_t>(100000, 3));
    CHECK(GetAllocatorStats().bytes_in_use >= before + 400000);
  }
  CHECK(GetAllocatorStats().bytes_in_use == before);
}

TEST_CASE("checks: what does not fit is named") {
  ops::CheckOffsets("op", "offsets", Indices({0, 2, 2, 5}), 5);
  ops::CheckOffsets("op", "offsets", Indices({0, 2, 2, 5}), ops::kAnyRows);
  CHECK_THROWS_WITH(ops::CheckOffsets("op", "offsets", Indices({0, 2, 5}), 6),
                    "[op] expected offsets from 0 to 6, got 0 to 5");
  CHECK_THROWS_WITH(ops::CheckOffsets("op", "offsets", Indices({1, 2, 5}), ops::kAnyRows),
                    "[op] expected offsets from 0, got 1 to 5");
  CHECK_THROWS_WITH(ops::CheckOffsets("op", "offsets", Indices({0, 3, 2, 5}), 5),
                    "[op] expected offsets that never fall, got 3 before 2");
  CHECK_THROWS_WITH(ops::CheckOffsets("op", "offsets", Indices(), 0), "[op] expected offsets from 0 to 0, got none");
  ops::CheckRows("op", Indices({3, 0, 3}), 4);
  CHECK_THROWS_WITH(ops::CheckRows("op", Indices({3, 0, 4}), 4), "[op] expected rows from 0 to 3, got 4");
  CHECK_THROWS_WITH(ops::CheckRows("op", Indices({3, -1, 4}), 4), "[op] expected rows from 0 to 3, got -1");
}

TEST_CASE("embedding: an id outside the table is found before anything is read") {
  const Tensor table = testing::Random({4, 3}, 1), positions = testing::Random({2, 3}, 2);
  CHECK_THROWS_WITH(ops::Embedding(Indices({0, 3, 4}), table, 1.0f, Tensor(), Indices(), 0.0f),
                    "[embedding] expected ids in [0, 4), got 4 at index 2");
  CHECK_THROWS_WITH(ops::Embedding(Indices({0, 3}), table, 1.0f, positions, Indices({1, 2}), 0.0f),
                    "[embedding] expected position ids in [0, 2), got 2 at index 1");
}

}  // namespace
}  // namespace attnkit
