#include "bindings/model_file.h"

#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <tuple>

namespace nb = nanobind;
using namespace nb::literals;

NamedTensors::NamedTensors(const nb::dict& tensors) {
  for (const auto& [name, array] : tensors) {
    names_.push_back(nb::cast<std::string>(name));
    values_.push_back(nb::cast<Input>(array));
  }
  for (size_t i = 0; i < names_.size(); ++i) {
    const Expected expected{kCpu, type_of(RNN_ENGINE_FLOAT32), values_[i].count};
    const auto* values = static_cast<const float*>(data_of(expected, values_[i], names_[i]));
    list_.push_back({names_[i].c_str(), values, values_[i].count});
  }
}

namespace {

// Bytes of a value; 0 for matrices, which are not read.
size_t size_of(int32_t type) {
  switch (type) {
    case RNN_TRANSLATE_OF_BYTES:
      return 1;
    case RNN_TRANSLATE_OF_INT32:
      return sizeof(int32_t);
    case RNN_TRANSLATE_OF_INT64:
      return sizeof(int64_t);
    case RNN_TRANSLATE_OF_FLOAT64:
      return sizeof(double);
    default:
      return 0;
  }
}

}  // namespace

ModelFile::ModelFile(const nb::bytes& path) {
  released(linked_functions(), [&] { return rnn_translate_file_open(path.c_str(), &raw_); });
}

nb::list ModelFile::sections() const {
  const rnn_translate_section* sections = nullptr;
  int64_t count = 0;
  check(linked_functions(), rnn_translate_file_sections(raw_, &sections, &count));
  nb::list all;
  for (int64_t i = 0; i < count; ++i)
    all.append(nb::make_tuple(sections[i].name, sections[i].type, sections[i].rows, sections[i].columns));
  return all;
}

rnn_translate_shape shape_of(const ShapeNumbers& n) {
  const auto kind = [](int64_t number) { return static_cast<int32_t>(std::clamp<int64_t>(number, -1, 256)); };
  return {kind(n[0]), kind(n[1]), kind(n[2]), n[3],        n[4],  n[5],  n[6],
          n[7],       n[8],       n[9],       kind(n[10]), n[11], n[12], n[13]};
}

nb::object ModelFile::read(const std::string& name) const {
  const rnn_translate_section* sections = nullptr;
  int64_t count = 0;
  check(linked_functions(), rnn_translate_file_sections(raw_, &sections, &count));
  for (int64_t i = 0; i < count; ++i)
    if (sections[i].name == name && size_of(sections[i].type))
      return nb::bytes(sections[i].data,
                       static_cast<size_t>(sections[i].rows * sections[i].columns) * size_of(sections[i].type));
  return nb::none();
}

rnn_translate_model* ModelFile::network(const std::optional<std::string>& isa) const {
  rnn_translate_model* model = nullptr;
  released(linked_functions(), [&] { return rnn_translate_file_network(raw_, isa ? isa->c_str() : nullptr, &model); });
  return model;
}

namespace {

using Part = std::tuple<std::string, int, nb::bytes>;  // of a file: name, type, content

nb::bytes make_model_file(const nb::dict& tensors, const std::vector<Part>& parts, const rnn_translate_shape& shape) {
  const NamedTensors named(tensors);
  std::vector<rnn_translate_section> sections;
  for (const auto& [name, type, content] : parts) {
    if (!size_of(type) || content.size() % size_of(type))
      throw nb::value_error((name + ": expected bytes or numbers of a type that a file has").c_str());
    sections.push_back({name.c_str(), type, 1, static_cast<int64_t>(content.size() / size_of(type)), content.data()});
  }
  char* contents = nullptr;
  int64_t size = 0;
  released(linked_functions(), [&] {
    return rnn_translate_file_make(&shape, named.data(), named.size(), sections.data(),
                                   static_cast<int64_t>(sections.size()), &contents, &size);
  });
  const std::unique_ptr<char, decltype(&rnn_translate_contents_free)> owner(contents, &rnn_translate_contents_free);
  return nb::bytes(contents, static_cast<size_t>(size));
}

}  // namespace

void bind_model_file(nb::module_& module) {
  nb::class_<ModelFile>(module, "ModelFile")
      .def(nb::init<const nb::bytes&>(), "path"_a)
      .def("sections", &ModelFile::sections)
      .def("read", &ModelFile::read, "name"_a);
  module.def(
      "make_model_file",
      [](const nb::dict& tensors, const std::vector<Part>& parts, const ShapeNumbers& shape) {
        return make_model_file(tensors, parts, shape_of(shape));
      },
      "tensors"_a, "parts"_a, "shape"_a);
}
