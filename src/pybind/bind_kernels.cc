// Kernels without the tape: products, the optimizer step, selection.
#include "attnkit/kernels/gemm.h"
#include "attnkit/kernels/optimizer.h"
#include "attnkit/kernels/rows.h"
#include "attnkit/op_scope.h"
#include "attnkit/precision.h"
#include "casts.h"

namespace attnkit::python {
namespace {

// A 2-D array read as it lies or transposed.
struct MatrixView {
  const float* data;
  int64_t rows, columns, row_stride, column_stride;
};

MatrixView ViewOf(const FloatArray& array, bool transpose) {
  ATTNKIT_CHECK(array.ndim() == 2, "[gemm] expected a matrix, got shape ", ToString(ShapeOf(array)));
  const int64_t rows = array.shape(0), columns = array.shape(1);
  return transpose ? MatrixView{array.data(), columns, rows, 1, columns}
                   : MatrixView{array.data(), rows, columns, columns, 1};
}

FloatArray GemmArrays(const FloatArray& a, const FloatArray& b, const std::string& precision, bool transpose_a,
                      bool transpose_b) {
  const MatrixView x = ViewOf(a, transpose_a), y = ViewOf(b, transpose_b);
  ATTNKIT_CHECK(x.columns == y.rows, "[gemm] expected b of ", x.columns, " rows, got ", y.rows);
  FloatArray c(std::vector<int64_t>{x.rows, y.columns});
  const kernels::Precision parsed = ParsePrecision(precision);
  py::gil_scoped_release release;
  kernels::MatMul(x.data, x.row_stride, x.column_stride, y.data, y.row_stride, y.column_stride, x.rows, y.columns,
                  x.columns, parsed, const_cast<float*>(c.data()), y.columns);
  return c;
}

py::tuple TopK(const FloatArray& x, int64_t k) {
  ATTNKIT_CHECK(x.ndim() == 2 && k >= 1 && k <= x.shape(1), "[top_k] expected a matrix of at least ", k,
                " columns, got ", ToString(ShapeOf(x)));
  const std::vector<int64_t> shape{x.shape(0), k};
  FloatArray values(shape);
  Int32Array indices(shape);
  float* value_data = values.mutable_data();
  int32_t* index_data = indices.mutable_data();
  {
    py::gil_scoped_release release;
    kernels::TopK(x.data(), x.shape(0), x.shape(1), k, value_data, index_data);
  }
  return py::make_tuple(values, indices);
}

void RequireWritable(const char* op, const std::vector<Tensor>& tensors) {
  for (const Tensor& tensor : tensors) tensor.storage().RequireWritable(op);
}

void Touch(const std::vector<Tensor>& tensors) {
  for (const Tensor& tensor : tensors) tensor.storage().Touch();
}

void AdamStep(const Tensor& parameter, const Tensor& gradient, const Tensor& moment1, const Tensor& moment2,
              int64_t step, float learning_rate, float beta1, float beta2, float eps, float weight_decay,
              bool decoupled, float gradient_scale) {
  const OpScope scope("adam", {&parameter, &gradient, &moment1, &moment2});
  const int64_t size = parameter.size();
  ATTNKIT_CHECK(gradient.size() == size && moment1.size() == size && moment2.size() == size, "[adam] expected ", size,
                " numbers in the gradient and the moments");
  kernels::AdamOptions options;
  options.learning_rate = learning_rate, options.beta1 = beta1, options.beta2 = beta2, options.eps = eps;
  options.weight_decay = weight_decay, options.decoupled = decoupled, options.gradient_scale = gradient_scale,
  options.step = step;
  const std::vector<Tensor> written{parameter, moment1, moment2};
  RequireWritable("adam", written);
  parameter.kernels().AdamStep(options, gradient.data(), size, parameter.data(), moment1.data(), moment2.data());
  Touch(written);
}

// Of each parameter: how many matrices it consists of, its gradient and its momentum.
void MuonStep(const std::vector<Tensor>& parameters, const std::vector<Tensor>& gradients,
              const std::vector<Tensor>& momenta, const std::vector<int64_t>& matrices, float learning_rate,
              float momentum, float weight_decay, float gradient_scale) {
  const OpScope scope("muon", gradients);
  const size_t count = parameters.size();
  ATTNKIT_CHECK(gradients.size() == count && momenta.size() == count && matrices.size() == count, "[muon] expected ",
                count, " gradients, momenta and numbers of matrices");
  if (count == 0) return;
  std::vector<kernels::MuonWeight> weights;
  RequireWritable("muon", parameters);
  RequireWritable("muon", momenta);
  for (size_t i = 0; i < count; ++i) {
    const int64_t size = parameters[i].size(), parts = matrices[i];
    const int64_t lines = parameters[i].rank() ? parameters[i].dim(0) : 0;
    ATTNKIT_CHECK(lines > 0 && size > 0 && parts > 0 && lines % parts == 0, "[muon] expected rows in ", parts,
                  " equal parts, got ", ToString(parameters[i].shape()));
    ATTNKIT_CHECK(gradients[i].size() == size && momenta[i].size() == size, "[muon] expected ", size,
                  " numbers in the gradient and the momentum");
    weights.push_back(
        {gradients[i].data(), parameters[i].data(), momenta[i].data(), parts, lines / parts, size / lines});
  }
  parameters[0].kernels().MuonStep({learning_rate, momentum, weight_decay, gradient_scale, ActivationPrecision()},
                                   weights);
  Touch(parameters);
  Touch(momenta);
}

double SumOfSquares(const std::vector<Tensor>& tensors) {
  const OpScope scope("sum_of_squares", tensors);
  double sum = 0;
  for (const Tensor& tensor : tensors) sum += tensor.kernels().SumOfSquares(tensor.data(), tensor.size());
  return sum;
}

}  // namespace

void BindKernels(py::module_& m) {
  using Unlocked = py::call_guard<py::gil_scoped_release>;
  m.def("gemm", &GemmArrays, py::arg("a"), py::arg("b"), py::arg("precision") = "fp32", py::arg("trans_a") = false,
        py::arg("trans_b") = false);
  m.def("top_k", &TopK, py::arg("x"), py::arg("k"));
  m.def("adam_step", &AdamStep, py::arg("parameter"), py::arg("gradient"), py::arg("moment1"), py::arg("moment2"),
        py::arg("step"), py::arg("learning_rate"), py::arg("beta1"), py::arg("beta2"), py::arg("eps"),
        py::arg("weight_decay"), py::arg("decoupled"), py::arg("gradient_scale"), Unlocked());
  m.def("muon_step", &MuonStep, py::arg("parameters"), py::arg("gradients"), py::arg("momenta"), py::arg("matrices"),
        py::arg("learning_rate"), py::arg("momentum"), py::arg("weight_decay"), py::arg("gradient_scale"), Unlocked());
  m.def("sum_of_squares", &SumOfSquares, Unlocked());
}

}  // namespace attnkit::python
