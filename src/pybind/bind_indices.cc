// Indices: ids, labels, offsets and row numbers, looked through once.
#include <algorithm>
#include <limits>

#include "casts.h"

namespace attnkit::python {

ops::Indices IndicesBehind(const py::handle& values) {
  if (py::isinstance<ops::Indices>(values)) return py::cast<const ops::Indices&>(values);
  if (!py::isinstance<Int32Array>(values)) return {};
  const auto array = py::reinterpret_borrow<Int32Array>(values);
  py::handle base = array.base();
  while (base && py::isinstance<py::array>(base)) base = py::reinterpret_borrow<py::array>(base).base();
  if (!base || !py::isinstance<ops::Indices>(base)) return {};
  const auto& indices = py::cast<const ops::Indices&>(base);
  const bool whole = array.data() == indices.data() && array.size() == indices.size();
  return whole ? indices : ops::Indices();
}

namespace {

// Whole numbers of another type, which must fit.
Int32Array Narrowed(const py::array& array, const std::string& what) {
  const char kind = array.dtype().kind();
  if (array.size() == 0) return Int32Array(0);
  if (kind != 'i' && kind != 'u')
    throw py::value_error(Concat("[", what, "] expected integers, got ", std::string(py::str(array.dtype()))));
  const py::object least = array.attr("min")(), most = array.attr("max")();
  const py::int_ lowest(std::numeric_limits<int32_t>::min()), highest(std::numeric_limits<int32_t>::max());
  if (least < lowest || most > highest)
    throw py::value_error(Concat("[", what, "] expected numbers that fit 32 bits, got ", std::string(py::str(least)),
                                 " to ", std::string(py::str(most))));
  return py::array_t<int32_t, py::array::c_style | py::array::forcecast>::ensure(array);
}

ops::Indices MakeIndices(const py::object& values, const std::string& what) {
  ops::Indices known = IndicesBehind(values);
  if (known) return known;
  const py::array array(values);
  const auto numbers = py::isinstance<py::array_t<int32_t>>(array) ? Int32Array::ensure(array) : Narrowed(array, what);
  if (!numbers) throw py::error_already_set();
  return CopyIndices(numbers);
}

// Over their memory, which nobody can write: ops know such an array as the Indices.
Int32Array View(const py::object& self) {
  const auto& indices = py::cast<const ops::Indices&>(self);
  Int32Array array(indices.size(), indices.data(), self);
  py::detail::array_proxy(array.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
  return array;
}

py::object ToArray(const py::object& self, const py::object& dtype, const py::object& copy) {
  const Int32Array array = View(self);
  const bool converts = !dtype.is_none() && !py::dtype::from_args(dtype).is(py::dtype::of<int32_t>());
  if (converts && !copy.is_none() && !py::cast<bool>(copy))
    throw py::value_error("[array] expected copy=None to convert from int32");
  if (converts) return array.attr("astype")(dtype);
  return !copy.is_none() && py::cast<bool>(copy) ? array.attr("copy")() : py::object(array);
}

// With others of its kind a whole; with anything else number by number, as an array.
py::object Compare(const py::object& self, const py::object& other, bool equal) {
  if (!py::isinstance<ops::Indices>(other)) return View(self).attr(equal ? "__eq__" : "__ne__")(other);
  const auto &a = py::cast<const ops::Indices&>(self), &b = py::cast<const ops::Indices&>(other);
  const bool same = a.size() == b.size() && std::equal(a.data(), a.data() + a.size(), b.data());
  return py::bool_(same == equal);
}

int32_t Extreme(const ops::Indices& indices, bool greatest) {
  if (!indices.size()) throw py::value_error("[indices] expected at least one number, got none");
  return greatest ? indices.maximum() : indices.minimum();
}

template <typename Class>
void BindArrayFace(Class& c) {
  c.def("numpy", &View);
  c.def("__array__", &ToArray, py::arg("dtype") = py::none(), py::arg("copy") = py::none());
  c.def("__len__", &ops::Indices::size);
  c.def("__getitem__", [](const py::object& self, const py::object& key) { return py::object(View(self)[key]); });
  c.def("tolist", [](const py::object& self) { return View(self).attr("tolist")(); });
  c.def_property_readonly("shape", [](const ops::Indices& x) { return py::make_tuple(x.size()); });
  c.def_property_readonly("ndim", [](const ops::Indices&) { return 1; });
  c.def_property_readonly("size", &ops::Indices::size);
  c.def_property_readonly("dtype", [](const ops::Indices&) { return py::dtype::of<int32_t>(); });
  c.def("min", [](const ops::Indices& x) { return Extreme(x, false); });
  c.def("max", [](const ops::Indices& x) { return Extreme(x, true); });
}

}  // namespace

void BindIndices(py::module_& m) {
  py::class_<ops::Indices> c(m, "Indices", "Whole numbers that never change: ids, labels, offsets.");
  c.def(py::init(&MakeIndices), py::arg("values"), py::arg("what") = "indices");
  BindArrayFace(c);
  c.def_property_readonly("are_offsets", &ops::Indices::AreOffsets);
  c.def("__eq__", [](const py::object& self, const py::object& other) { return Compare(self, other, true); });
  c.def("__ne__", [](const py::object& self, const py::object& other) { return Compare(self, other, false); });
  c.def("__repr__", [](const py::object& self) { return "Indices(" + std::string(py::str(View(self))) + ")"; });
  c.def("__copy__", [](const py::object& self) { return self; });
  c.def(
      "__deepcopy__", [](const py::object& self, const py::dict&) { return self; }, py::arg("memo"));
  c.def(py::pickle([](const py::object& self) { return py::make_tuple(View(self)); },
                   [](const py::tuple& state) {
                     if (state.size() != 1) throw py::value_error("[unpickle] expected the array of indices");
                     return MakeIndices(state[0], "indices");
                   }));
}

}  // namespace attnkit::python
