// The matrices of minimal filtering F(4 x 4, 3 x 3) (Winograd, 1980; Lavin and Gray, 2016) at the points 0, 1, -1, 1/2,
// -2 and infinity.
#pragma once

namespace attnkit::kernels::vision {

struct InputMatrix {  // Bᵀ
  static constexpr int kRows = 6, kColumns = 6;
  static constexpr float At(int row, int column) {
    constexpr float kNumbers[6][6] = {{1, -1.5f, -2, 1.5f, 1, 0}, {0, -1, 0.5f, 2.5f, 1, 0},
                                      {0, 1, -2.5f, 0.5f, 1, 0},  {0, -2, -1, 2, 1, 0},
                                      {0, 0.5f, -1, -0.5f, 1, 0}, {0, 1, -1.5f, -2, 1.5f, 1}};
    return kNumbers[row][column];
  }
};

struct FilterMatrix {  // G
  static constexpr int kRows = 6, kColumns = 3;
  static constexpr float At(int row, int column) {
    constexpr float kNumbers[6][3] = {{1, 0, 0},
                                      {1.0f / 3, 1.0f / 3, 1.0f / 3},
                                      {-1.0f / 3, 1.0f / 3, -1.0f / 3},
                                      {-16.0f / 15, -8.0f / 15, -4.0f / 15},
                                      {1.0f / 15, -2.0f / 15, 4.0f / 15},
                                      {0, 0, 1}};
    return kNumbers[row][column];
  }
};

struct OutputMatrix {  // Aᵀ
  static constexpr int kRows = 4, kColumns = 6;
  static constexpr float At(int row, int column) {
    constexpr float kNumbers[4][6] = {
        {1, 1, 1, 1, 1, 0}, {0, 1, -1, 0.5f, -2, 0}, {0, 1, 1, 0.25f, 4, 0}, {0, 1, -1, 0.125f, -8, 1}};
    return kNumbers[row][column];
  }
};

template <class Matrix>
struct Transposed {
  static constexpr int kRows = Matrix::kColumns, kColumns = Matrix::kRows;
  static constexpr float At(int row, int column) { return Matrix::At(column, row); }
};

}  // namespace attnkit::kernels::vision
