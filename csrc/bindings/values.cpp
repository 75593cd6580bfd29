#include "bindings/values.h"

#include <cstddef>
#include <iterator>
#include <memory>

#include "rnn_engine.h"

namespace nb = nanobind;

namespace {

constexpr auto kFloat = static_cast<uint8_t>(nb::dlpack::dtype_code::Float);
constexpr auto kBfloat = static_cast<uint8_t>(nb::dlpack::dtype_code::Bfloat);
constexpr auto kInt = static_cast<uint8_t>(nb::dlpack::dtype_code::Int);
constexpr auto kUInt = static_cast<uint8_t>(nb::dlpack::dtype_code::UInt);

// In the order of RNN_ENGINE_FLOAT32, ..., then those that only arguments have.
constexpr Type kTypes[] = {{"float32", {kFloat, 32, 1}}, {"float64", {kFloat, 64, 1}}, {"bfloat16", {kBfloat, 16, 1}},
                           {"float16", {kFloat, 16, 1}}, {"int64", {kInt, 64, 1}},     {"uint8", {kUInt, 8, 1}}};
constexpr int kProblemTypes = 4;

// What of torch is asked, looked up once torch is there. All of it lives as long as the process.
struct Torch {
  PyTypeObject* tensor;
  PyObject *data_ptr, *numel, *is_contiguous, *is_cpu, *is_cuda, *get_device, *dtype;
  PyObject* dtypes[std::size(kTypes)];

  // nullptr while nobody has imported torch. Python's lock guards it.
  static const Torch* find() {
    static const Torch* found = nullptr;
    if (!found) found = make();
    return found;
  }

 private:
  static const Torch* make() {
    PyObject* module = PyDict_GetItemString(PyImport_GetModuleDict(), "torch");
    PyObject* tensor = module ? PyObject_GetAttrString(module, "Tensor") : nullptr;
    if (!tensor || !PyType_Check(tensor)) {
      PyErr_Clear();  // torch is being imported
      return nullptr;
    }
    auto* torch = new Torch{reinterpret_cast<PyTypeObject*>(tensor),
                            PyUnicode_InternFromString("data_ptr"),
                            PyUnicode_InternFromString("numel"),
                            PyUnicode_InternFromString("is_contiguous"),
                            PyUnicode_InternFromString("is_cpu"),
                            PyUnicode_InternFromString("is_cuda"),
                            PyUnicode_InternFromString("get_device"),
                            PyUnicode_InternFromString("dtype"),
                            {}};
    for (size_t i = 0; i < std::size(kTypes); ++i) torch->dtypes[i] = PyObject_GetAttrString(module, kTypes[i].name);
    PyErr_Clear();
    return torch;
  }
};

nb::object called(nb::handle object, PyObject* method) {
  return nb::steal(PyObject_CallMethodNoArgs(object.ptr(), method));
}

nb::object attribute(nb::handle object, PyObject* name) { return nb::steal(PyObject_GetAttr(object.ptr(), name)); }

constexpr int kNowhere = kCpu - 1;

int cuda_device_of(nb::handle tensor, const Torch& torch) {
  if (attribute(tensor, torch.is_cuda).ptr() != Py_True) return kNowhere;
  const nb::object number = called(tensor, torch.get_device);
  return number.is_valid() ? static_cast<int>(PyLong_AsLong(number.ptr())) : kNowhere;
}

}  // namespace

const Type kInt64 = kTypes[kProblemTypes];

const Type& type_of(int dtype) {
  if (dtype < 0 || dtype >= kProblemTypes)
    throw nb::value_error(("dtype: expected 0 to 3, got " + std::to_string(dtype)).c_str());
  return kTypes[dtype];
}

const Type& value_type_of(int dtype) {
  const bool half = dtype == RNN_ENGINE_BFLOAT16 || dtype == RNN_ENGINE_FLOAT16;
  return type_of(half ? static_cast<int>(RNN_ENGINE_FLOAT32) : dtype);
}

Reading read_tensor(nb::handle source, Values& values) noexcept {
  const Torch* torch = Torch::find();
  if (!torch || !PyObject_TypeCheck(source.ptr(), torch->tensor)) return Reading::kNoTensor;
  const nb::object contiguous = called(source, torch->is_contiguous), count = called(source, torch->numel),
                   address = called(source, torch->data_ptr), on_cpu = attribute(source, torch->is_cpu),
                   dtype = attribute(source, torch->dtype);
  if (contiguous.ptr() == Py_True && count.is_valid() && address.is_valid() && on_cpu.is_valid()) {
    values.count = PyLong_AsLongLong(count.ptr());
    values.data = PyLong_AsVoidPtr(address.ptr());
    values.device = on_cpu.ptr() == Py_True ? kCpu : cuda_device_of(source, *torch);
    for (size_t i = 0; i < std::size(kTypes) && values.device >= kCpu && !PyErr_Occurred(); ++i)
      if (dtype.ptr() == torch->dtypes[i]) {
        values.type = kTypes[i].native;
        return Reading::kDone;
      }
  }
  PyErr_Clear();  // a tensor without memory of its own, say: the caller tells what was expected
  return Reading::kRefused;
}

void require_values(int device, const nb::dlpack::dtype& type, int64_t count, const Expected& expected,
                    const std::string& name) {
  const auto place = [](int number) {
    return number == kCpu ? std::string("the CPU") : "cuda:" + std::to_string(number);
  };
  if (device != expected.device)
    throw nb::value_error(
        (name + ": expected an array on " + place(expected.device) + ", got one on " + place(device)).c_str());
  if (type != expected.type.native)
    throw nb::type_error((name + ": expected " + expected.type.name + ", got another type").c_str());
  if (count != expected.count)
    throw nb::value_error(
        (name + ": expected " + std::to_string(expected.count) + " values, got " + std::to_string(count)).c_str());
}

void* bytes_of(int device, const std::optional<Values>& values, uint64_t bytes, const char* name) {
  if (!bytes) return nullptr;
  if (!values || values->bytes() < bytes)
    throw nb::value_error((std::string(name) + ": expected at least " + std::to_string(bytes) + " bytes, got " +
                           std::to_string(values ? values->bytes() : 0))
                              .c_str());
  require_values(values->device, values->type, values->count, {device, Type{name, values->type}, values->count}, name);
  return values->data;
}

void* workspace_of(int device, const std::optional<Values>& given, uint64_t bytes) {
  if (given || device != kCpu || bytes > kOwnWorkspace) return bytes_of(device, given, bytes, "workspace");
  static thread_local std::unique_ptr<std::byte[]> own;
  if (!own) own = std::make_unique_for_overwrite<std::byte[]>(kOwnWorkspace + 64);
  void* aligned = own.get();
  size_t room = kOwnWorkspace + 64;
  return std::align(64, kOwnWorkspace, aligned, room);
}
