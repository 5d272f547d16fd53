// attnkit._core: the C++ core for Python. Each area binds its own part.
#include <pybind11/pybind11.h>

namespace attnkit::python {

void BindSystem(pybind11::module_& m);
void BindIndices(pybind11::module_& m);
void BindTensor(pybind11::module_& m);
void BindBFloat16(pybind11::module_& m);
void BindDLPack(pybind11::module_& m);
void BindInt8(pybind11::module_& m);
void BindFunction(pybind11::module_& m);
void BindOps(pybind11::module_& m);
void BindRecurrent(pybind11::module_& m);
void BindRagged(pybind11::module_& m);
void BindDecoding(pybind11::module_& m);
void BindKernels(pybind11::module_& m);
void BindVision(pybind11::module_& m);

}  // namespace attnkit::python

PYBIND11_MODULE(_core, m) {
  m.doc() = "The C++ core of attnkit: tensors, the tape and the ops.";
  attnkit::python::BindSystem(m);
  attnkit::python::BindIndices(m);
  attnkit::python::BindTensor(m);
  attnkit::python::BindBFloat16(m);
  attnkit::python::BindDLPack(m);
  attnkit::python::BindInt8(m);
  attnkit::python::BindFunction(m);
  attnkit::python::BindOps(m);
  attnkit::python::BindRecurrent(m);
  attnkit::python::BindRagged(m);
  attnkit::python::BindDecoding(m);
  attnkit::python::BindKernels(m);
  attnkit::python::BindVision(m);
}
