#include "bindings/values.h"

#include <cstring>

#include "rnn_engine.h"

namespace nb = nanobind;

namespace {

constexpr auto kFloat = static_cast<uint8_t>(nb::dlpack::dtype_code::Float);
constexpr auto kBfloat = static_cast<uint8_t>(nb::dlpack::dtype_code::Bfloat);
constexpr auto kInt = static_cast<uint8_t>(nb::dlpack::dtype_code::Int);
constexpr auto kUInt = static_cast<uint8_t>(nb::dlpack::dtype_code::UInt);

// In the order of RNN_ENGINE_FLOAT32, ...
constexpr Type kTypes[] = {{"float32", {kFloat, 32, 1}},
                           {"float64", {kFloat, 64, 1}},
                           {"bfloat16", {kBfloat, 16, 1}},
                           {"float16", {kFloat, 16, 1}}};
constexpr Type kUInt8 = {"uint8", {kUInt, 8, 1}};

const Type* named(const char* name) {
  for (const Type& type : kTypes)
    if (std::strcmp(type.name, name) == 0) return &type;
  for (const Type* type : {&kInt64, &kUInt8})
    if (std::strcmp(type->name, name) == 0) return type;
  return nullptr;
}

}  // namespace

const Type kInt64 = {"int64", {kInt, 64, 1}};

const Type& type_of(int dtype) {
  if (dtype < 0 || dtype >= static_cast<int>(std::size(kTypes)))
    throw nb::value_error(("dtype: expected 0 to 3, got " + std::to_string(dtype)).c_str());
  return kTypes[dtype];
}

const Type& value_type_of(int dtype) {
  const bool half = dtype == RNN_ENGINE_BFLOAT16 || dtype == RNN_ENGINE_FLOAT16;
  return type_of(half ? static_cast<int>(RNN_ENGINE_FLOAT32) : dtype);
}

bool read_tuple(nb::handle tuple, Values& values) noexcept {
  if (PyTuple_GET_SIZE(tuple.ptr()) != 3) return false;
  values.data = PyLong_AsVoidPtr(PyTuple_GET_ITEM(tuple.ptr(), 0));
  const char* name = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(tuple.ptr(), 1), nullptr);
  values.count = PyLong_AsLongLong(PyTuple_GET_ITEM(tuple.ptr(), 2));
  if (PyErr_Occurred()) {
    PyErr_Clear();
    return false;
  }
  const Type* type = named(name);
  if (!type || values.count < 0) return false;
  values.type = type->native;
  return true;
}

void require_values(const nb::dlpack::dtype& got, int64_t got_count, const Type& type, int64_t count,
                    const std::string& name) {
  if (got != type.native)
    throw nb::type_error((name + ": expected " + type.name + ", got another type").c_str());
  if (got_count != count)
    throw nb::value_error(
        (name + ": expected " + std::to_string(count) + " values, got " + std::to_string(got_count)).c_str());
}

void* bytes_of(const Values& values, uint64_t bytes, const char* name) {
  if (values.bytes() < bytes)
    throw nb::value_error((std::string(name) + ": expected at least " + std::to_string(bytes) +
                           " bytes, got " + std::to_string(values.bytes()))
                              .c_str());
  return bytes ? values.data : nullptr;
}
