// The transforms of minimal filtering F(4 x 4, 3 x 3) (Winograd, 1980; Lavin and Gray, 2016): 4 x 4 outputs of a 3 x 3
// filter by 36 multiplications a pair of channels, where the direct sum has 144.
//
//   y = Aᵀ [(G g Gᵀ) ∘ (Bᵀ d B)] A,   dg = Gᵀ [(A dy Aᵀ) ∘ (Bᵀ d B)] G
//
// d is a patch of 6 x 6 pixels, y the outputs that it makes, g the filter, and ∘ becomes 36 products of matrices over
// channels. The points are 0, 1, -1, 1/2, -2 and infinity: their rounding errors are two thirds of those of 0, ±1, ±2
// (Barabasz et al., 2020, compare such sets).
#pragma once

#include <cstdint>

namespace attnkit::kernels::vision {

constexpr int64_t kWinogradOutputs = 4, kWinogradPatch = 6, kWinogradFilter = 3;
constexpr int64_t kWinogradPlanes = kWinogradPatch * kWinogradPatch;

// A small square of pixels, each of consecutive channels: pixel (i, j) begins at data + i * row + j * pixel.
template <typename Number>
struct Square {
  Number* data;
  int64_t row, pixel;
};

// The same of the 36 planes, `plane` numbers apart.
template <typename Number>
Square<Number> PlanesAt(Number* data, int64_t plane) {
  return {data, kWinogradPatch * plane, plane};
}

enum class WinogradTransform {
  kInput,           // Bᵀ d B: 6 x 6 to 6 x 6
  kFilter,          // G g Gᵀ: 3 x 3 to 6 x 6
  kOutput,          // Aᵀ m A: 6 x 6 to 4 x 4
  kOutputGradient,  // A dy Aᵀ: 4 x 4 to 6 x 6
  kFilterGradient,  // Gᵀ s G: 6 x 6 to 3 x 3
};

// bias [channels] is added to every pixel; may be null.
void Transform(WinogradTransform transform, const Square<const float>& from, const Square<float>& to, int64_t channels,
               const float* bias = nullptr);

}  // namespace attnkit::kernels::vision
