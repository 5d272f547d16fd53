// attnkit/kernels/gemm.h on CUDA: float32 and bf16; int8 is in int8.cu.
#include "attnkit/check.h"
#include "attnkit/profile.h"
#include "cuda/int8.h"
#include "cuda/kernels.h"
#include "cuda/packed.h"
#include "cuda/product.h"
#include "cuda/tensor_product.h"

namespace attnkit::cuda {

using kernels::Epilogue;
using kernels::PackedMatrix;
using kernels::Precision;

namespace {

__device__ inline void Put(float x, float* to) { *to = x; }
__device__ inline void Put(float x, uint16_t* to) { *to = RoundedBits(x); }

// Rows of an int8 weight, which are columns of B.
struct DequantizedView {
  using Number = float;
  const int8_t* data;
  const float* multipliers;  // by column
  int64_t row_stride, column_stride;
  __device__ float operator()(int64_t i, int64_t j) const {
    return static_cast<float>(data[i * row_stride + j * column_stride]) * (1.0f / multipliers[j]);
  }
};

// Tiles of 32 x 32: neighbours are read along the axis where they lie together, and written along a row.
template <typename View, typename To>
__global__ void PackKernel(View b, int64_t k, int64_t n, int64_t column_tiles, To* to) {
  __shared__ float tile[kWarp][kWarp + 1];
  const int64_t first_row = blockIdx.x / column_tiles * kWarp, first_column = blockIdx.x % column_tiles * kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warps = static_cast<int>(blockDim.x) / kWarp;
  const bool along_rows = b.row_stride == 1;
  for (int i = static_cast<int>(threadIdx.x) / kWarp; i < kWarp; i += warps) {
    const int down = along_rows ? lane : i, right = along_rows ? i : lane;
    const int64_t row = first_row + down, column = first_column + right;
    if (row < k && column < n) tile[down][right] = b(row, column);
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x) / kWarp; i < kWarp; i += warps) {
    const int64_t row = first_row + i, column = first_column + lane;
    if (row < k && column < n) Put(tile[i][lane], to + row * n + column);
  }
}

template <typename To, typename View>
std::shared_ptr<const void> PackRows(const View& b, int64_t k, int64_t n) {
  const auto packed = std::make_shared<const PackedRows<To>>(k, n);
  const int64_t column_tiles = Blocks(n, kWarp);
  Launch({dim3(static_cast<unsigned>(Blocks(k, kWarp) * column_tiles)), dim3(256)}, PackKernel<View, To>, b, k, n,
         column_tiles, packed->numbers.data());
  return packed;
}

template <typename View>
PackedMatrix Pack(const View& b, int64_t k, int64_t n, Precision precision) {
  if (precision == Precision::kInt8) return PackInt8(b, k, n);
  PackedMatrix packed;
  packed.k = k;
  packed.n = n;
  packed.precision = precision;
  packed.on_device = precision == Precision::kBFloat16 ? PackRows<uint16_t>(b, k, n) : PackRows<float>(b, k, n);
  return packed;
}

// bf16: by tensor cores, where there are any.
template <typename BView>
void RoundedProduct(const RoundedView& a, const BView& b, int64_t m, int64_t n, int64_t depth,
                    const FloatEpilogue& finisher, const ProductBatch& batch = {}) {
  HasTensorCores() ? TensorProduct(a, b, m, n, depth, finisher, batch) : Product(a, b, m, n, depth, finisher, batch);
}

// B is read where it lies: a copy would cost a launch, and the tiles go through shared memory anyway.
void MultiplyPlain(const kernels::MatrixBatch& a, const kernels::MatrixBatch& b, int64_t m, int64_t n, int64_t k,
                   Precision precision, const FloatEpilogue& finisher, int64_t count) {
  CountArithmetic(2.0 * count * m * n * k, static_cast<int>(precision));
  const ProductBatch batch{count, a.step, b.step};
  if (precision == Precision::kBFloat16) {
    RoundedProduct(RoundedView{a.data, a.row_stride, a.column_stride},
                   RoundedView{b.data, b.row_stride, b.column_stride}, m, n, k, finisher, batch);
  } else {
    Product(PlainView<float>{a.data, a.row_stride, a.column_stride},
            PlainView<float>{b.data, b.row_stride, b.column_stride}, m, n, k, finisher, batch);
  }
}

void CheckEpilogue(const Epilogue& epilogue) {
  const bool plain = !epilogue.bias && !epilogue.pre_activation && epilogue.activation == kernels::Activation::kNone;
  ATTNKIT_CHECK(!epilogue.accumulate || plain, "[gemm] expected no bias and no activation with accumulate, got one");
}

}  // namespace

PackedMatrix PackMatrix(const float* b, int64_t k, int64_t n, int64_t row_stride, int64_t column_stride,
                        Precision precision) {
  return Pack(PlainView<float>{b, row_stride, column_stride}, k, n, precision);
}

PackedMatrix PackBFloat16(const uint16_t* b, int64_t k, int64_t n, int64_t row_stride, int64_t column_stride,
                          Precision precision) {
  return Pack(WidenedView{b, row_stride, column_stride}, k, n, precision);
}

PackedMatrix PackQuantized(const int8_t* rows, const kernels::Quantization& quantization, int64_t k, int64_t n,
                           Precision precision) {
  const Uploaded<float> multipliers(quantization.multipliers.data(), n);
  if (precision == Precision::kInt8) return PackInt8Rows(rows, multipliers.data(), quantization.input_multiplier, k, n);
  return Pack(DequantizedView{rows, multipliers.data(), 1, k}, k, n, precision);
}

void Gemm(const float* a, int64_t a_row_stride, int64_t a_column_stride, int64_t m, const PackedMatrix& b, float* c,
          int64_t c_row_stride, const Epilogue& epilogue) {
  ATTNKIT_CHECK(b.on_device, "[gemm] expected B packed for CUDA, got B packed for the CPU");
  CountArithmetic(2.0 * m * b.n * b.k, static_cast<int>(b.precision));
  CheckEpilogue(epilogue);
  if (b.precision == Precision::kInt8) {
    ATTNKIT_CHECK(!epilogue.accumulate && !epilogue.pre_activation,
                  "[gemm] expected fp32 or bf16 to accumulate or to keep what the activation reads, got int8");
    return MultiplyInt8(a, a_row_stride, a_column_stride, m, b, c, c_row_stride, epilogue);
  }
  const FloatEpilogue finisher{c, c_row_stride, epilogue};
  if (b.precision == Precision::kBFloat16) {
    return RoundedProduct(RoundedView{a, a_row_stride, a_column_stride}, WidenedView{BFloat16s(b), b.n, 1}, m, b.n, b.k,
                          finisher);
  }
  Product(PlainView<float>{a, a_row_stride, a_column_stride}, PlainView<float>{Floats(b), b.n, 1}, m, b.n, b.k,
          finisher);
}

void MatMul(const float* a, int64_t a_row_stride, int64_t a_column_stride, const float* b, int64_t b_row_stride,
            int64_t b_column_stride, int64_t m, int64_t n, int64_t k, Precision precision, float* c,
            int64_t c_row_stride, const Epilogue& epilogue) {
  if (precision == Precision::kInt8) {
    const PackedMatrix packed = cuda::PackMatrix(b, k, n, b_row_stride, b_column_stride, precision);
    return cuda::Gemm(a, a_row_stride, a_column_stride, m, packed, c, c_row_stride, epilogue);
  }
  CheckEpilogue(epilogue);
  MultiplyPlain({a, 0, a_row_stride, a_column_stride}, {b, 0, b_row_stride, b_column_stride}, m, n, k, precision,
                {c, c_row_stride, epilogue}, 1);
}

void MatMuls(int64_t count, const kernels::MatrixBatch& a, const kernels::MatrixBatch& b, int64_t m, int64_t n,
             int64_t k, Precision precision, float* c) {
  const auto from = [](const kernels::MatrixBatch& x, int64_t first) {
    return kernels::MatrixBatch{x.data + first * x.step, x.step, x.row_stride, x.column_stride};
  };
  const int64_t together = precision == Precision::kInt8 ? 1 : kMostProducts;
  for (int64_t first = 0; first < count; first += together) {
    const kernels::MatrixBatch left = from(a, first), right = from(b, first);
    float* const to = c + first * m * n;
    if (precision == Precision::kInt8) {
      cuda::MatMul(left.data, left.row_stride, left.column_stride, right.data, right.row_stride, right.column_stride, m,
                   n, k, precision, to, n, {});
    } else {
      MultiplyPlain(left, right, m, n, k, precision, {to, n, {}, m * n}, std::min(together, count - first));
    }
  }
}

}  // namespace attnkit::cuda
