// Philox, the generator, and dropout, which draws from it.
#include "attnkit/random.h"

#include <algorithm>
#include <array>

#include "attnkit/kernels/elementwise.h"
#include "support.h"

namespace attnkit {
namespace {

using Words = std::array<uint32_t, 4>;

Words Block(PhiloxKey key, uint64_t index) {
  Words words;
  PhiloxBlock(key, index, words.data());
  return words;
}

TEST_CASE("random: the known answers of Random123") {
  constexpr uint64_t kOnes = ~uint64_t{0};
  CHECK(Block({0, 0}, 0) == Words{0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8});
  CHECK(Block({kOnes, kOnes}, kOnes) == Words{0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD});
  CHECK(Block({0x299F31D0A4093822, 0x0370734413198A2E}, 0x85A308D3243F6A88) ==
        Words{0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1});
}

TEST_CASE("random: every op takes the next stream, and a seed starts anew") {
  const GeneratorState before = GetGeneratorState();
  ManualSeed(7);
  CHECK(NextPhiloxKey().stream == 0);
  CHECK(NextPhiloxKey().stream == 1);
  CHECK(GetGeneratorState().seed == 7);
  CHECK(GetGeneratorState().next_stream == 2);
  ManualSeed(7);
  CHECK(NextPhiloxKey().stream == 0);
  SetGeneratorState(before);
}

TEST_CASE("random: threads never share a stream") {
  constexpr int kThreads = 4, kDraws = 200;
  std::vector<std::vector<uint64_t>> drawn(kThreads);
  testing::InThreads(kThreads, [&](int t) {
    for (int i = 0; i < kDraws; ++i) drawn[t].push_back(NextPhiloxKey().stream);
  });
  std::vector<uint64_t> all;
  for (const std::vector<uint64_t>& streams : drawn) all.insert(all.end(), streams.begin(), streams.end());
  std::sort(all.begin(), all.end());
  CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
}

TEST_CASE("random: dropout keeps what the stream says, under each instruction set") {
  constexpr PhiloxKey kKey{11, 3};
  constexpr float kP = 0.3f;
  const Tensor x = Tensor::Full({1003}, 2.0f);
  for (const Isa isa : SupportedIsas()) {
    CAPTURE(testing::Name(isa));
    const testing::IsaScope scope(isa);
    Tensor out(x.shape());
    kernels::Dropout(x.data(), x.size(), kP, kKey, out.data());
    for (int64_t i = 0; i < x.size(); ++i) {
      const uint32_t word = Block(kKey, i / 8)[i % 8 / 2];
      const bool kept = (i % 2 ? word >> 16 : word & 0xffff) >= DropoutThreshold(kP);
      const float expected = kept ? 2.0f / (1 - kP) : 0.0f;
      REQUIRE(std::abs(out.data()[i] - expected) <= 2 * testing::kEpsilon * expected);
    }
  }
}

}  // namespace
}  // namespace attnkit
