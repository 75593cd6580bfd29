// The memory that a call gets from Python: on the CPU an array of NumPy or torch; on a device, whose arrays
// cannot be asked without waiting for it, a tuple (address, type, number of values).
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <optional>
#include <string>
#include <type_traits>

// A type of values, by its name in NumPy and torch.
struct Type {
  const char* name;
  nanobind::dlpack::dtype native;
};

// The type of a value of rnn_engine_problem's `dtype`; throws if there is none.
const Type& type_of(int dtype);
// The type of what is computed with values of a `dtype`: sums, vectors of weights, cell states.
const Type& value_type_of(int dtype);
extern const Type kInt64;

// `Data` is void, or const void for what may be read-only, as mapped files are.
template <class Data>
struct Memory {
  Data* data = nullptr;
  nanobind::dlpack::dtype type{};
  int64_t count = 0;
  nanobind::ndarray<nanobind::ro> owner;  // the array, for as long as the call takes

  uint64_t bytes() const { return static_cast<uint64_t>(count) * type.bits / 8; }
};
using Values = Memory<void>;
using Input = Memory<const void>;

// Fills in a tuple's content; false if it is not of the expected form.
bool read_tuple(nanobind::handle tuple, Memory<void>& values) noexcept;

void require_values(const nanobind::dlpack::dtype& got, int64_t got_count, const Type& type, int64_t count,
                    const std::string& name);

// The memory, after its type and number of values were found right.
template <class Data>
Data* data_of(const Type& type, const Memory<Data>& values, int64_t count, const std::string& name) {
  require_values(values.type, values.count, type, count, name);
  return values.data;
}

template <class Data>
Data* data_of(const Type& type, const std::optional<Memory<Data>>& values, int64_t count,
              const std::string& name) {
  return values ? data_of(type, *values, count, name) : nullptr;
}

// Memory of any type, after it was found large enough.
void* bytes_of(const Values& values, uint64_t bytes, const char* name);

namespace nanobind::detail {

template <class Data>
struct type_caster<Memory<Data>> {
  NB_TYPE_CASTER(Memory<Data>, const_name("array"))

  bool from_python(handle source, uint32_t flags, cleanup_list* cleanup) noexcept {
    if (PyTuple_CheckExact(source.ptr())) {
      Memory<void> values;
      if (!read_tuple(source, values)) return false;
      value = {values.data, values.type, values.count, {}};
      return true;
    }
    using Array = std::conditional_t<std::is_const_v<Data>, ndarray<ro, c_contig, device::cpu>,
                                     ndarray<c_contig, device::cpu>>;
    make_caster<Array> caster;
    if (!caster.from_python(source, flags, cleanup)) return false;
    const Array& array = caster.value;
    value = {array.data(), array.dtype(), static_cast<int64_t>(array.size()), ndarray<ro>(array.handle())};
    return true;
  }
};

}  // namespace nanobind::detail
