// attnkit._testing: kernels that nothing but the tests calls by themselves. Built for development, in no wheel.
#include "attnkit/kernels/optimizer.h"
#include "attnkit/kernels/reduce.h"
#include "attnkit/precision.h"
#include "casts.h"
#include "cuda/emulation/context.h"
#include "cuda/emulation/faulty.h"
#include "cuda/emulation/machine.h"
#include "cuda/emulation/tensor_cores.h"
#include "kernels/gemm/amx.h"
#include "testing/host2.h"

namespace attnkit::python {
namespace {

using EmulatedGemm = decltype(&kernels::GemmAmxEmulated);

FloatArray Emulate(EmulatedGemm gemm, const FloatArray& a, const FloatArray& b) {
  ATTNKIT_CHECK(a.ndim() == 2 && b.ndim() == 2 && a.shape(1) == b.shape(0), "[gemm] expected a [M, K] and b [K, N]");
  const int64_t m = a.shape(0), n = b.shape(1), k = a.shape(1);
  FloatArray c(std::vector<int64_t>{m, n});
  gemm(a.data(), k, 1, b.data(), n, 1, m, n, k, c.mutable_data(), n);
  return c;
}

FloatArray Orthogonalise(const FloatArray& matrix) {
  ATTNKIT_CHECK(matrix.ndim() == 2, "[muon] expected a matrix, got shape ", ToString(ShapeOf(matrix)));
  FloatArray result(ShapeOf(matrix));
  std::copy_n(matrix.data(), matrix.size(), result.mutable_data());
  kernels::Orthogonalise(result.mutable_data(), matrix.shape(0), matrix.shape(1), ActivationPrecision());
  return result;
}

}  // namespace
}  // namespace attnkit::python

PYBIND11_MODULE(_testing, m) {
  namespace py = pybind11;
  using namespace attnkit::python;
  m.doc() = "Kernels that only the tests call by themselves.";
  m.def(
      "gemm_amx_emulated",
      [](const FloatArray& a, const FloatArray& b) { return Emulate(&attnkit::kernels::GemmAmxEmulated, a, b); },
      py::arg("a"), py::arg("b"));
  m.def(
      "gemm_int8_amx_emulated",
      [](const FloatArray& a, const FloatArray& b) { return Emulate(&attnkit::kernels::GemmInt8AmxEmulated, a, b); },
      py::arg("a"), py::arg("b"));
  m.def("register_host2", [] { attnkit::Host2(); });
  m.def("host2_blocks", &attnkit::Host2Blocks);
  m.def("register_emulated_cuda", [] { attnkit::cuda::Emulated(); });
  m.def("set_emulation_seed", &attnkit::emulation::SetSeed, py::arg("seed"));
  m.def("set_emulated_tensor_cores", &attnkit::emulation::SetTensorCores, py::arg("there"));
  m.def("asked_of_emulated_cuda", [] {
    const attnkit::emulation::Asked asked = attnkit::emulation::AskedOfDevice();
    return std::pair(asked.launches, asked.copies_to_host);
  });
  m.def("run_faulty_kernel", &attnkit::cuda::RunFaultyKernel, py::arg("name"));
  m.def("orthogonalise", &Orthogonalise, py::arg("matrix"));
  m.def(
      "all_finite", [](const FloatArray& x) { return attnkit::kernels::AllFinite(x.data(), x.size()); }, py::arg("x"));
}
