// int8 weights: bytes, and what they stand for.
#include <algorithm>
#include <cmath>

#include "casts.h"

namespace attnkit::python {
// A weight over the bytes, whose memory is shared; a multiplier for each row.
Tensor FromInt8(const AlignedArray<int8_t>& bytes, const FloatArray& multipliers, float input_multiplier) {
  ATTNKIT_CHECK(bytes.ndim() == 2, "[int8] expected bytes of shape [N, K], got ", ToString(ShapeOf(bytes)));
  ATTNKIT_CHECK(ShapeOf(multipliers) == Shape{bytes.shape(0)}, "[int8] expected multipliers of shape [", bytes.shape(0),
                "], got ", ToString(ShapeOf(multipliers)));
  // The dot products of some instruction sets take magnitudes, which -128 has none of in a byte; no quantiser gives it.
  const int64_t lowest = std::count(bytes.data(), bytes.data() + bytes.size(), int8_t{-128});
  ATTNKIT_CHECK(lowest == 0, "[int8] expected bytes from -127 to 127, got -128");
  auto quantization = std::make_shared<kernels::Quantization>();
  quantization->multipliers = Buffer<float>(multipliers.size());
  for (int64_t i = 0; i < multipliers.size(); ++i) {
    const float multiplier = multipliers.data()[i];
    ATTNKIT_CHECK(multiplier > 0.0f && std::isfinite(multiplier) && std::isfinite(1.0f / multiplier),
                  "[int8] expected positive multipliers, got ", multiplier);
    quantization->multipliers[i] = multiplier;
  }
  ATTNKIT_CHECK(std::isfinite(input_multiplier) && input_multiplier >= 0.0f,
                "[int8] expected an input_multiplier of at least 0, got ", input_multiplier);
  quantization->input_multiplier = input_multiplier;
  Tensor weight = Tensor::Borrow(const_cast<int8_t*>(bytes.data()), ShapeOf(bytes), LoanOf(bytes), DType::kInt8);
  weight.storage().SetQuantization(std::move(quantization));
  return weight;
}

// What FromInt8 takes. The bytes are those of the tensor, for reading.
py::tuple Int8Parts(const Tensor& weight) {
  ATTNKIT_CHECK(weight.dtype() == DType::kInt8, "[int8] expected a tensor of int8, got ", NameOf(weight.dtype()));
  if (!weight.context().is_cpu()) return Int8Parts(weight.To(Cpu()));
  py::capsule owner(new Tensor(weight), [](void* kept) { delete static_cast<Tensor*>(kept); });
  py::array_t<int8_t> bytes(weight.shape(), weight.quantized(), owner);
  bytes.attr("flags").attr("writeable") = false;
  const kernels::Quantization& quantization = weight.quantization();
  return py::make_tuple(bytes, FloatArray(quantization.multipliers.size(), quantization.multipliers.data()),
                        quantization.input_multiplier);
}

void BindInt8(py::module_& m) {
  m.def("from_int8", &FromInt8, py::arg("bytes"), py::arg("multipliers"), py::arg("input_multiplier") = 0.0f);
  m.def("int8_parts", &Int8Parts, py::arg("weight"));
}

}  // namespace attnkit::python
