// attnkit/kernels/memory.h on CUDA: fills, copies, rows; copy_strided.cu and repeated_rows.cu have the rest.
#include "cuda/for_rows.h"
#include "cuda/kernels.h"
#include "cuda/launch.h"
#include "cuda/quads.h"
#include "cuda/scratch.h"

namespace attnkit::cuda {
namespace {

struct FillBody {
  float value;
  Quads quads;
  float* out;
  __device__ void operator()(int64_t quad) const {
    const float v[4] = {value, value, value, value};
    quads.Store(v, quad, out);
  }
};

struct CopyBody {
  const float* x;
  Quads quads;
  float* out;
  __device__ void operator()(int64_t quad) const {
    float v[4];
    quads.Load(x, quad, v);
    quads.Store(v, quad, out);
  }
};

template <typename Piece>
struct CopyRowsBody {
  const Piece* x;
  int64_t x_stride;
  Piece* out;
  int64_t out_stride;
  __device__ void operator()(int64_t r, int64_t c) const { out[r * out_stride + c] = x[r * x_stride + c]; }
};

template <typename Piece>
struct GatherBody {
  const Piece* x;
  const int32_t* rows;
  int64_t columns;
  Piece* out;
  __device__ void operator()(int64_t i, int64_t c) const { out[i * columns + c] = x[rows[i] * columns + c]; }
};

// By pieces of 16 bytes where the rows are whole ones.
template <typename T>
void Gather(const T* x, const int32_t* rows, int64_t count, int64_t columns, T* out) {
  const int64_t bytes = columns * static_cast<int64_t>(sizeof(T));
  if (ByPieces(bytes, {x, out})) {
    const int64_t pieces = bytes / static_cast<int64_t>(sizeof(float4));
    ForRows(count, pieces,
            GatherBody<float4>{reinterpret_cast<const float4*>(x), rows, pieces, reinterpret_cast<float4*>(out)});
  } else {
    ForRows(count, columns, GatherBody<T>{x, rows, columns, out});
  }
}

struct FillRowsBody {
  float value;
  const int32_t* rows;
  int64_t columns;
  float* out;
  __device__ void operator()(int64_t i, int64_t c) const { out[rows[i] * columns + c] = value; }
};

__device__ float Widened(uint16_t bits) { return __uint_as_float(static_cast<unsigned>(bits) << 16); }

struct WidenBody {
  const uint16_t* x;
  float* out;
  __device__ void operator()(int64_t i) const { out[i] = Widened(x[i]); }
};

struct GatherWidenedBody {
  const uint16_t* x;
  const int32_t* rows;
  int64_t columns;
  float* out;
  __device__ void operator()(int64_t i, int64_t c) const { out[i * columns + c] = Widened(x[rows[i] * columns + c]); }
};

struct RoundBody {
  const float* x;
  uint16_t* out;
  __device__ void operator()(int64_t i) const {
    const unsigned bits = __float_as_uint(x[i]);
    const unsigned rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    const unsigned nan = bits >> 16 | 0x40u;  // a quiet one: its payload may lie in the lower half alone
    out[i] = static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
  }
};

struct DequantizeBody {
  const int8_t* x;
  const float* multipliers;
  int64_t columns;
  float* out;
  __device__ void operator()(int64_t r, int64_t c) const {
    out[r * columns + c] = 1.0f / multipliers[r] * static_cast<float>(x[r * columns + c]);
  }
};
}  // namespace

void Fill(float value, int64_t size, float* out) {
  const Quads quads(size, {out});
  ForEach(quads.count(), FillBody{value, quads, out});
}

void Copy(const float* x, int64_t size, float* out) {
  const Quads quads(size, {x, out});
  ForEach(quads.count(), CopyBody{x, quads, out});
}

void CopyRows(const float* x, int64_t x_stride, int64_t rows, int64_t columns, float* out, int64_t out_stride) {
  if (x_stride == columns && out_stride == columns) return Copy(x, rows * columns, out);
  if ((columns | x_stride | out_stride) % 4 == 0 && ByPieces(0, {x, out})) {
    ForRows(rows, columns / 4,
            CopyRowsBody<float4>{reinterpret_cast<const float4*>(x), x_stride / 4, reinterpret_cast<float4*>(out),
                                 out_stride / 4});
  } else {
    ForRows(rows, columns, CopyRowsBody<float>{x, x_stride, out, out_stride});
  }
}

void GatherRows(const float* x, const int32_t* rows, int64_t count, int64_t columns, float* out) {
  Gather(x, rows, count, columns, out);
}

void FillRows(float value, const int32_t* rows, int64_t count, int64_t columns, float* out) {
  ForRows(count, columns, FillRowsBody{value, rows, columns, out});
}

void Widen(const uint16_t* x, int64_t size, float* out) { ForEach(size, WidenBody{x, out}); }

void Round(const float* x, int64_t size, uint16_t* out) { ForEach(size, RoundBody{x, out}); }

void GatherWidened(const uint16_t* x, const int32_t* rows, int64_t count, int64_t columns, float* out) {
  ForRows(count, columns, GatherWidenedBody{x, rows, columns, out});
}

void Dequantize(const int8_t* x, const kernels::RowMultipliers& multipliers, int64_t rows, int64_t columns,
                float* out) {
  const Uploaded<float> uploaded(multipliers.data, rows);
  ForRows(rows, columns, DequantizeBody{x, uploaded.data(), columns, out});
}

void GatherBytes(const int8_t* x, const int32_t* rows, int64_t count, int64_t columns, int8_t* out) {
  Gather(x, rows, count, columns, out);
}

}  // namespace attnkit::cuda
