// The memory that a call gets from Python: arrays of NumPy, and tensors of torch, which are asked for their address
// (without waiting for the device that they are on, and without building this extension against torch).
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

inline constexpr int kCpu = -1;  // the device of the processor's memory; others are numbers of CUDA devices

// `Data` is void, or const void for what may be read-only, as mapped files are.
template <class Data>
struct Memory {
  Data* data = nullptr;
  nanobind::dlpack::dtype type{};
  int64_t count = 0;
  int device = kCpu;
  nanobind::object owner;  // the array, for as long as the call takes

  uint64_t bytes() const { return static_cast<uint64_t>(count) * type.bits / 8; }
};
using Values = Memory<void>;
using Input = Memory<const void>;

enum class Reading { kDone, kRefused, kNoTensor };
// Fills in what a tensor of torch says of itself; refused is one that is not contiguous, or has no memory
// that a call could read.
Reading read_tensor(nanobind::handle source, Memory<void>& values) noexcept;

// What is expected of an array: device, type and number of values.
struct Expected {
  int device;
  const Type& type;
  int64_t count;
};
void require_values(int device, const nanobind::dlpack::dtype& type, int64_t count, const Expected& expected,
                    const std::string& name);

// The memory, after it was found as expected.
template <class Data>
Data* data_of(const Expected& expected, const Memory<Data>& values, const std::string& name) {
  require_values(values.device, values.type, values.count, expected, name);
  return values.data;
}

template <class Data>
Data* data_of(const Expected& expected, const std::optional<Memory<Data>>& values, const std::string& name) {
  return values ? data_of(expected, *values, name) : nullptr;
}

// Memory of any type, after it was found large enough; `values` may be absent where no bytes are needed.
void* bytes_of(int device, const std::optional<Values>& values, uint64_t bytes, const char* name);

// On the CPU each thread has so many bytes of workspace, for calls that take less time than Python would to make one.
inline constexpr uint64_t kOwnWorkspace = 256 << 10;
// The workspace of a call: what is given, else the thread's own.
void* workspace_of(int device, const std::optional<Values>& given, uint64_t bytes);

namespace nanobind::detail {

template <class Data>
struct type_caster<Memory<Data>> {
  NB_TYPE_CASTER(Memory<Data>, const_name("array"))

  bool from_python(handle source, uint32_t flags, cleanup_list* cleanup) noexcept {
    Memory<void> tensor;
    if (const Reading read = read_tensor(source, tensor); read != Reading::kNoTensor) {
      value = {tensor.data, tensor.type, tensor.count, tensor.device, borrow(source)};
      return read == Reading::kDone;
    }
    using Array =
        std::conditional_t<std::is_const_v<Data>, ndarray<ro, c_contig, device::cpu>, ndarray<c_contig, device::cpu>>;
    make_caster<Array> caster;
    // Never a converted copy, which results would be written to.
    if (!caster.from_python(source, flags & ~static_cast<uint32_t>(cast_flags::convert), cleanup)) return false;
    const Array& array = caster.value;
    value = {array.data(), array.dtype(), static_cast<int64_t>(array.size()), kCpu, borrow(source)};
    return true;
  }
};

}  // namespace nanobind::detail
