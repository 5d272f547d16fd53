// Tensor with its operators, and the switches of the tape.
#include <atomic>

#include "attnkit/autograd.h"
#include "attnkit/ops/arithmetic.h"
#include "attnkit/ops/product.h"
#include "attnkit/ops/shape.h"
#include "attnkit/precision.h"
#include "casts.h"

namespace attnkit::python {
namespace {

using Unlocked = py::call_guard<py::gil_scoped_release>;

// Where tensors lie that were not told where: the process's, not a thread's.
std::atomic<const Context*> default_context{nullptr};

const Context& ContextNamed(const std::optional<std::string>& device) {
  if (device) return ContextOf(*device);
  const Context* context = default_context.load();
  return context ? *context : Cpu();
}

Tensor FromArray(const FloatArray& array, bool requires_grad, const std::optional<std::string>& device) {
  Tensor tensor = BorrowArray(array).To(ContextNamed(device));
  tensor.set_requires_grad(requires_grad);
  return tensor;
}

// Parameters own their memory, so that their packed copies can be kept between writes.
Tensor EmptyParameter(const Shape& shape) {
  Tensor tensor(shape, ContextNamed({}));
  tensor.set_requires_grad(true);
  return tensor;
}

Tensor NewParameter(const FloatArray& array) {
  Tensor tensor = EmptyParameter(ShapeOf(array));
  tensor.CopyFrom(array.data());
  return tensor;
}

// `target`: a device or a type.
Tensor To(const Tensor& x, const std::string& target) {
  for (DType dtype : {DType::kFloat32, DType::kBFloat16}) {
    if (target == NameOf(dtype)) return ops::To(x, dtype);
  }
  return ops::To(x, ContextOf(target));
}

// A copy of a tensor has its values and not its history.
void RequireLeaf(const Tensor& tensor) {
  ATTNKIT_CHECK(tensor.is_leaf(),
                "[copy] expected a tensor that no recorded op made, got one with a history: detach() it");
}

// Over the same memory, as copy.copy of an array's view would be.
Tensor ShallowCopy(const Tensor& tensor) {
  RequireLeaf(tensor);
  Tensor copy = tensor.Detach();
  copy.set_requires_grad(tensor.requires_grad());
  return copy;
}

Tensor DeepCopy(const Tensor& tensor, const py::dict&) {
  RequireLeaf(tensor);
  Tensor copy = tensor.Clone();
  copy.set_requires_grad(tensor.requires_grad());
  if (tensor.grad()) copy.set_grad(tensor.grad().Clone());
  return copy;
}

py::tuple PickledState(const Tensor& tensor) {
  RequireLeaf(tensor);
  if (tensor.dtype() == DType::kInt8) {
    const py::tuple parts = Int8Parts(tensor);
    return py::make_tuple(parts[0], false, NameOf(tensor.dtype()), tensor.context().device(), parts[1], parts[2]);
  }
  return py::make_tuple(ArrayView(tensor, false), tensor.requires_grad(), NameOf(tensor.dtype()),
                        tensor.context().device());
}

Tensor FromPickledState(const py::tuple& state) {
  // Two of version 0.1, which knew no other type and no other device.
  if (state.size() == 6) {
    const Tensor weight =
        FromInt8(py::cast<AlignedArray<int8_t>>(state[0]), py::cast<FloatArray>(state[4]), py::cast<float>(state[5]));
    return To(weight.Clone(), py::cast<std::string>(state[3]));
  }
  if (state.size() != 2 && state.size() != 4)
    throw py::value_error(
        "[unpickle] expected the array of a tensor, whether it needs a gradient, its type and device");
  Tensor tensor = BorrowArray(py::cast<FloatArray>(state[0])).Clone();
  if (state.size() == 4) tensor = To(To(tensor, py::cast<std::string>(state[2])), py::cast<std::string>(state[3]));
  tensor.set_requires_grad(py::cast<bool>(state[1]));
  return tensor;
}

std::string Describe(const Tensor& tensor) {
  const std::string values = py::str(ArrayView(tensor, false));
  return "Tensor(" + values + ", shape=" + ToString(tensor.shape()) +
         (tensor.requires_grad() ? ", requires_grad=True)" : ")");
}

float Item(const Tensor& tensor) {
  ATTNKIT_CHECK(tensor.size() == 1, "[item] expected a tensor of one number, got shape ", ToString(tensor.shape()));
  float number;
  tensor.To(DType::kFloat32).CopyTo(&number);
  return number;
}

void CopyInto(Tensor& tensor, const FloatArray& array) {
  ATTNKIT_CHECK(ShapeOf(array) == tensor.shape(), "[copy_] expected shape ", ToString(tensor.shape()), ", got ",
                ToString(ShapeOf(array)));
  ATTNKIT_CHECK(tensor.dtype() != DType::kInt8,
                "[copy_] expected float32 or bfloat16, got int8; move_(\"float32\") converts it");
  if (tensor.dtype() == DType::kFloat32) return tensor.CopyFrom(array.data());
  tensor.CopyFrom(BorrowArray(array).To(tensor.dtype()).address());
}

// `other` may be an array, or a tensor, whose type is taken, too.
void Adopt(Tensor& tensor, const std::variant<Tensor, FloatArray>& other) {
  const Tensor* given = std::get_if<Tensor>(&other);
  const Tensor memory = given ? *given : BorrowArray(std::get<FloatArray>(other));
  ATTNKIT_CHECK(memory.shape() == tensor.shape(), "[adopt_] expected shape ", ToString(tensor.shape()), ", got ",
                ToString(memory.shape()));
  tensor.Adopt(memory.To(tensor.context()));
}

void Pack(const Tensor& weight, const std::string& precision) {
  ATTNKIT_CHECK(weight.rank() == 2, "[pack] expected weight of shape [N, K], got ", ToString(weight.shape()));
  const kernels::Precision parsed = ParsePrecision(precision);
  py::gil_scoped_release release;
  weight.Packed(true, parsed);
}

// An operand or a gradient given as a NumPy array of any real type.
Tensor BorrowConverted(const py::array& array) {
  const char kind = array.dtype().kind();
  if (kind != 'f' && kind != 'i' && kind != 'u' && kind != 'b') {
    throw py::type_error("[tensor] expected an array of real numbers, got " + std::string(py::str(array.dtype())));
  }
  return BorrowArray(FloatArray::ensure(py::array_t<float, py::array::forcecast>::ensure(array)));
}

void Move(Tensor& x, const std::string& target) {
  ATTNKIT_CHECK(x.is_leaf(), "[move_] expected a tensor that no op computed; use to()");
  const Tensor moved = To(x.Detach(), target);
  if (&moved.storage() != &x.storage()) x.Adopt(moved);
}

// The same beside a tensor, on its device.
Tensor Beside(const Tensor& tensor, const py::array& array) { return BorrowConverted(array).To(tensor.context()); }

Tensor SwapAxes(const Tensor& x, int64_t a, int64_t b) {
  const int64_t rank = x.rank();
  ATTNKIT_CHECK(a >= -rank && a < rank && b >= -rank && b < rank, "[transpose] expected axes of ", ToString(x.shape()),
                ", got ", a, " and ", b);
  std::vector<int64_t> axes(rank);
  for (int64_t i = 0; i < rank; ++i) axes[i] = i;
  std::swap(axes[(a + rank) % rank], axes[(b + rank) % rank]);
  return ops::Permute(x, axes);
}

Tensor SumOver(const Tensor& x, std::optional<int64_t> axis, bool keepdims) {
  return axis ? ops::SumAxis(x, *axis, keepdims) : ops::SumAll(x);
}

Tensor MeanOver(const Tensor& x, std::optional<int64_t> axis, bool keepdims) {
  const Tensor sum = SumOver(x, axis, keepdims);
  const int64_t count = x.size() / std::max<int64_t>(1, sum.size());
  return ops::ScaleShift(sum, 1.0f / static_cast<float>(std::max<int64_t>(1, count)), 0.0f);
}

int64_t IndexOf(const py::handle& item) {
  const auto number =
      py::reinterpret_steal<py::object>(py::isinstance<py::bool_>(item) ? nullptr : PyNumber_Index(item.ptr()));
  if (!number) {
    PyErr_Clear();
    throw py::type_error("[index] expected integers and slices, got " + std::string(py::str(py::type::of(item))));
  }
  return PyNumber_AsSsize_t(number.ptr(), nullptr);  // what does not fit 64 bits becomes what is out of reach too
}

// x[i], x[a:b] on the first axis; x[:, a:b] and so on with a tuple of slices and integers.
Tensor Index(Tensor x, const py::handle& key) {
  const py::tuple keys = py::isinstance<py::tuple>(key) ? py::reinterpret_borrow<py::tuple>(key) : py::make_tuple(key);
  ATTNKIT_CHECK(static_cast<int64_t>(keys.size()) <= x.rank(), "[index] expected at most ", x.rank(), " indices, got ",
                keys.size());
  int64_t axis = 0;
  for (const py::handle& item : keys) {
    const int64_t length = x.dim(axis);
    if (py::isinstance<py::slice>(item)) {
      py::ssize_t begin, end, step, count;
      ATTNKIT_CHECK(py::reinterpret_borrow<py::slice>(item).compute(length, &begin, &end, &step, &count) && step == 1,
                    "[index] expected a slice of step 1");
      x = ops::Slice(x, axis, begin, begin + count);
      ++axis;
    } else {
      const int64_t i = IndexOf(item);
      if (i < -length || i >= length)
        throw py::index_error(Concat("[index] expected an index below ", length, ", got ", i));
      const int64_t at = i < 0 ? i + length : i;
      Shape shape = x.shape();
      shape.erase(shape.begin() + axis);
      x = ops::Reshape(ops::Slice(x, axis, at, at + 1), shape);
    }
  }
  return x;
}

Tensor Raise(const Tensor& x, float exponent) {
  if (exponent == 2.0f) return ops::Multiply(x, x);
  if (exponent == 0.5f) return ops::Apply(kernels::Unary::kSqrt, x);
  if (exponent == -1.0f) return ops::Divide(x.NewFull({}, 1.0f), x);
  Fail("[pow] expected an exponent of 2, 0.5 or -1, got ", exponent);
}

template <typename Class>
void BindUnary(Class& c) {
  using kernels::Unary;
  const std::pair<const char*, Unary> unary[] = {{"exp", Unary::kExp},
                                                 {"log", Unary::kLog},
                                                 {"sqrt", Unary::kSqrt},
                                                 {"tanh", Unary::kTanh},
                                                 {"sigmoid", Unary::kSigmoid},
                                                 {"relu", Unary::kRelu},
                                                 {"gelu", Unary::kGelu},
                                                 {"silu", Unary::kSilu},
                                                 {"gelu_tanh", Unary::kGeluTanh},
                                                 {"quick_gelu", Unary::kQuickGelu}};
  for (const auto& [name, op] : unary) {
    c.def(
        name, [op = op](const Tensor& x) { return ops::Apply(op, x); }, Unlocked());
  }
}

// tensor op tensor, tensor op number, tensor op array, and the same reflected.
template <typename Class, typename Op>
void BindOperator(Class& c, const char* name, const char* reflected, const Op& op) {
  const auto unlocked = [op](const Tensor& a, const Tensor& b) {
    py::gil_scoped_release release;
    return op(a, b);
  };
  c.def(name, unlocked, py::is_operator());
  c.def(
      name, [=](const Tensor& x, const py::array& y) { return unlocked(x, Beside(x, y)); }, py::is_operator());
  c.def(
      name, [=](const Tensor& x, float y) { return unlocked(x, x.NewFull({}, y)); }, py::is_operator());
  c.def(
      reflected, [=](const Tensor& x, const py::array& y) { return unlocked(Beside(x, y), x); }, py::is_operator());
  c.def(
      reflected, [=](const Tensor& x, float y) { return unlocked(x.NewFull({}, y), x); }, py::is_operator());
}

template <typename Class>
void BindArithmetic(Class& c) {
  BindOperator(c, "__add__", "__radd__", ops::Add);
  BindOperator(c, "__sub__", "__rsub__", ops::Subtract);
  BindOperator(c, "__mul__", "__rmul__", ops::Multiply);
  BindOperator(c, "__truediv__", "__rtruediv__", ops::Divide);
  BindOperator(c, "__matmul__", "__rmatmul__", ops::MatMul);
  c.def(
      "__neg__", [](const Tensor& x) { return ops::ScaleShift(x, -1.0f, 0.0f); }, Unlocked());
  c.def("__pow__", &Raise, py::is_operator(), Unlocked());
}

template <typename Class>
void BindShapes(Class& c) {
  c.def("reshape", [](const Tensor& x, const py::args& sizes) {
    const bool packed = sizes.size() == 1 && !py::isinstance<py::int_>(sizes[0]);
    return ops::Reshape(x, CastTo<Shape>(packed ? sizes[0] : py::object(sizes), "reshape", "integers"));
  });
  c.def("transpose", &SwapAxes, py::arg("axis0"), py::arg("axis1"), Unlocked());
  c.def("permute", [](const Tensor& x, const py::args& args) {
    const bool packed = args.size() == 1 && !py::isinstance<py::int_>(args[0]);
    const Shape axes = CastTo<Shape>(packed ? args[0] : py::object(args), "permute", "integers");
    py::gil_scoped_release release;
    return ops::Permute(x, axes);
  });
  c.def("__getitem__", &Index);
  c.def("sum", &SumOver, py::arg("axis") = py::none(), py::arg("keepdims") = false, Unlocked());
  c.def("mean", &MeanOver, py::arg("axis") = py::none(), py::arg("keepdims") = false, Unlocked());
}

template <typename Class>
void BindGradients(Class& c) {
  c.def_property("requires_grad", &Tensor::requires_grad, &Tensor::set_requires_grad);
  c.def_property_readonly("is_leaf", &Tensor::is_leaf);
  c.def_property(
      "grad", [](const Tensor& x) { return OrNone(x.grad()); },
      [](Tensor& x, const std::optional<Tensor>& grad) { x.set_grad(OrUndefined(grad)); });
  c.def("zero_grad", [](Tensor& x) { x.set_grad(Tensor()); });
  c.def(
      "backward", [](const Tensor& x, const std::optional<Tensor>& gradient) { Backward(x, OrUndefined(gradient)); },
      py::arg("gradient") = py::none(), Unlocked());
  c.def(
      "backward",
      [](const Tensor& x, const py::array& gradient) {
        const Tensor borrowed = Beside(x, gradient);
        py::gil_scoped_release release;
        Backward(x, borrowed);
      },
      py::arg("gradient"));
  c.def("detach", &Tensor::Detach);
}

template <typename Class>
void BindArray(Class& c) {
  c.def_property_readonly("shape", [](const Tensor& x) { return py::tuple(py::cast(x.shape())); });
  c.def_property_readonly("ndim", &Tensor::rank);
  c.def_property_readonly("size", &Tensor::size);
  c.def_property_readonly("device", [](const Tensor& x) { return x.context().device(); });
  c.def_property_readonly("dtype", [](const Tensor& x) { return NameOf(x.dtype()); });
  c.def("to", &To, py::arg("target"), Unlocked());
  c.def("move_", &Move, py::arg("target"));
  c.def("__len__", [](const Tensor& x) {
    if (x.rank() == 0) throw py::type_error("[len] expected at least one axis, got []");
    return x.dim(0);
  });
  c.def("__repr__", &Describe);
  c.def("__float__", &Item);
  c.def("__bool__", [](const Tensor& x) { return Item(x) != 0.0f; });
  c.def("item", &Item);
  c.def(
      "numpy",
      [](const Tensor& x, bool writable) -> py::object {
        return x.dtype() == DType::kBFloat16 ? BitsArray(x, writable) : ArrayView(x, writable);
      },
      py::arg("writable") = true);
  c.def_property_readonly("is_borrowed", [](const Tensor& x) { return x.storage().borrowed(); });
  c.def("copy_", &CopyInto, py::arg("array"));
  c.def("adopt_", &Adopt, py::arg("other"));
  c.def(
      "__array__",
      [](const Tensor& x, const py::object& dtype, const py::object& copy) {
        const py::object array = ArrayView(x, true);
        const bool converts = !dtype.is_none() && !py::dtype::from_args(dtype).is(py::dtype::of<float>());
        if (converts && !copy.is_none() && !py::cast<bool>(copy))
          throw py::value_error("[array] expected copy=None to convert from float32");
        if (converts) return array.attr("astype")(dtype);
        return !copy.is_none() && py::cast<bool>(copy) ? array.attr("copy")() : array;
      },
      py::arg("dtype") = py::none(), py::arg("copy") = py::none());
  c.def("__copy__", &ShallowCopy);
  c.def("__deepcopy__", &DeepCopy, py::arg("memo"));
  c.def(py::pickle(&PickledState, &FromPickledState));
}

}  // namespace

kernels::Precision ParsePrecision(const std::string& name) {
  using kernels::Precision;
  for (Precision precision : {Precision::kFloat32, Precision::kBFloat16, Precision::kInt8}) {
    if (name == PrecisionName(precision)) return precision;
  }
  Fail("[precision] expected \"fp32\", \"bf16\" or \"int8\", got \"", name, "\"");
}

const char* PrecisionName(kernels::Precision precision) {
  switch (precision) {
    case kernels::Precision::kFloat32: return "fp32";
    case kernels::Precision::kBFloat16: return "bf16";
    case kernels::Precision::kInt8: return "int8";
  }
  return "unknown";
}

void BindTensor(py::module_& m) {
  py::class_<Tensor> c(m, "Tensor", "A float32 array in row-major order that remembers how it was computed.");
  BindArray(c);
  BindGradients(c);
  BindShapes(c);
  BindUnary(c);
  BindArithmetic(c);
  c.attr("__array_priority__") = 1000;
  c.attr("__array_ufunc__") = py::none();  // NumPy's operators defer to ours

  m.def("from_array", &FromArray, py::arg("array"), py::arg("requires_grad") = false, py::arg("device") = py::none());
  m.def("parameter", &NewParameter, py::arg("array"));
  m.def("empty_parameter", &EmptyParameter, py::arg("shape"));
  m.def(
      "zeros",
      [](const Shape& shape, const std::optional<std::string>& device) {
        return Tensor::Zeros(shape, ContextNamed(device));
      },
      py::arg("shape"), py::arg("device") = py::none());
  m.def("default_device", [] { return ContextNamed({}).device(); });
  m.def(
      "set_default_device", [](const std::string& device) { default_context = &ContextOf(device); }, py::arg("device"));
  m.def(
      "synchronize",
      [](const std::optional<std::string>& device) {
        const Context& context = ContextNamed(device);
        const py::gil_scoped_release release;
        context.Wait();
      },
      py::arg("device") = py::none());
  m.def("pack", &Pack, py::arg("weight"), py::arg("precision"));
  m.def("grad_enabled", &GradEnabled);
  m.def("set_grad_enabled", &SetGradEnabled, py::arg("enabled"));
  m.def("get_precision", [] { return PrecisionName(MatmulPrecision()); });
  m.def(
      "set_precision", [](const std::string& name) { SetMatmulPrecision(ParsePrecision(name)); }, py::arg("name"));
}

}  // namespace attnkit::python
