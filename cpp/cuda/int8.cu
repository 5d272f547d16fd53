// Products in 8-bit integers.
#include "cuda/int8.h"

#include "cuda/product.h"
#include "cuda/scratch.h"

namespace attnkit::cuda {
namespace {

// A block for a column: its bytes in whole words, and what its sum and scale mean to products of it.
__global__ void PackBytesKernel(const int8_t* rows, const float* multipliers, float input_multiplier, int64_t k,
                                int64_t padded, int8_t* bytes, float* scales, float* shifts, int32_t* compensation) {
  __shared__ int room[kWarp];
  const int64_t column = blockIdx.x;
  int sum = 0;
  for (int64_t i = threadIdx.x; i < padded; i += blockDim.x) {
    const int8_t byte = i < k ? rows[column * k + i] : int8_t{0};
    bytes[column * padded + i] = byte;
    sum += byte;
  }
  sum = BlockSum(sum, room);
  if (threadIdx.x != 0) return;
  const float a = input_multiplier, b = multipliers[column];
  if (a == 0.0f) {
    scales[column] = 1.0f / b;
    return;
  }
  // The order of the roundings is Marian's and intgemm's.
  scales[column] = b > 0.0f ? 1.0f / __fmul_rn(a, b) : 0.0f;
  shifts[column] = b > 0.0f ? __fmul_rn(static_cast<float>(sum), -__fmul_rn(127.0f / a, 127.0f / b) / 127.0f) : 0.0f;
  compensation[column] = 127 * sum;
}

struct Int8Epilogue {
  const float *row_scales, *scales, *shifts;
  const int32_t* compensation;  // null, and shifts, where A is quantised by row
  const float* bias;
  kernels::Activation activation;
  float* c;
  int64_t c_row;

  __device__ int Start(int64_t, int64_t column) const { return compensation ? compensation[column] : 0; }
  // With shifts, the product is rounded before shift + bias is added.
  __device__ void Finish(int64_t row, int64_t column, int sum) const {
    const float factor = __fmul_rn(row_scales[row], scales[column]), number = static_cast<float>(sum);
    const float given = bias ? bias[column] : 0.0f;
    const float result = shifts ? __fadd_rn(__fmul_rn(number, factor), __fadd_rn(shifts[column], given))
                                : __fmaf_rn(number, factor, given);
    c[row * c_row + column] = Activate(activation, result);
  }
};

}  // namespace

kernels::PackedMatrix PackInt8Rows(const int8_t* rows, const float* multipliers, float input_multiplier, int64_t k,
                                   int64_t n) {
  const int64_t deepest = input_multiplier > 0.0f ? kDeepestShiftedInt8 : kDeepestInt8;
  ATTNKIT_CHECK(k <= deepest, "[gemm] expected a depth of at most ", deepest, " in int8, got ", k);
  const auto bytes = std::make_shared<const PackedBytes>(k, n);
  Launch({dim3(static_cast<unsigned>(n)), dim3(128)}, PackBytesKernel, rows, multipliers, input_multiplier, k,
         bytes->words * 4, bytes->bytes.data(), bytes->scales.data(), bytes->shifts.data(), bytes->compensation.data());
  kernels::PackedMatrix packed;
  packed.k = k;
  packed.n = n;
  packed.precision = kernels::Precision::kInt8;
  packed.input_multiplier = input_multiplier;
  packed.on_device = bytes;
  return packed;
}

void MultiplyInt8(const float* a, int64_t a_row_stride, int64_t a_column_stride, int64_t m,
                  const kernels::PackedMatrix& b, float* c, int64_t c_row, const kernels::Epilogue& epilogue) {
  if (m <= 0 || b.n <= 0) return;
  const PackedBytes& packed = Bytes(b);
  const Scratch<int8_t> bytes(m * packed.words * 4);
  const Scratch<float> scales(m);
  Quantize<false>(PlainView<float>{a, a_row_stride, a_column_stride}, m, b.k, packed.words * 4, b.input_multiplier,
                  bytes.data(), scales.data());
  const bool shifted = b.input_multiplier > 0.0f;
  const Int8Epilogue finisher{scales.data(),
                              packed.scales.data(),
                              shifted ? packed.shifts.data() : nullptr,
                              shifted ? packed.compensation.data() : nullptr,
                              epilogue.bias,
                              epilogue.activation,
                              c,
                              c_row};
  const auto words = [](const int8_t* numbers) { return reinterpret_cast<const int*>(numbers); };
  Product(PlainView<int>{words(bytes.data()), packed.words, 1},
          PlainView<int>{words(packed.bytes.data()), 1, packed.words}, m, b.n, packed.words, finisher);
}

}  // namespace attnkit::cuda
