#include "bindings/model_file.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>

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

nb::object ModelFile::read(const std::string& name) const {
  const rnn_translate_section* sections = nullptr;
  int64_t count = 0;
  check(linked_functions(), rnn_translate_file_sections(raw_, &sections, &count));
  for (int64_t i = 0; i < count; ++i) {
    const rnn_translate_section& each = sections[i];
    const bool numbers = each.type == RNN_TRANSLATE_OF_INT64 || each.type == RNN_TRANSLATE_OF_FLOAT64;
    if (each.name == name && (numbers || each.type == RNN_TRANSLATE_OF_BYTES))
      return nb::bytes(each.data, static_cast<size_t>(each.rows * each.columns) * (numbers ? sizeof(double) : 1));
  }
  return nb::none();
}

rnn_translate_model* ModelFile::network(const std::optional<std::string>& isa) const {
  rnn_translate_model* model = nullptr;
  released(linked_functions(), [&] { return rnn_translate_file_network(raw_, isa ? isa->c_str() : nullptr, &model); });
  return model;
}

namespace {

// The contents of a file with sections of bytes, by name, and one of numbers, `search`.
nb::bytes make_model_file(const nb::dict& tensors, const rnn_translate_shape& shape, const nb::dict& texts,
                          const std::vector<double>& search) {
  const NamedTensors named(tensors);
  std::vector<std::string> names;
  std::vector<rnn_translate_section> sections;
  for (const auto& [name, text] : texts) names.push_back(nb::cast<std::string>(name));
  for (const auto& [name, text] : texts) {
    const auto bytes = nb::cast<nb::bytes>(text);
    sections.push_back(
        {names[sections.size()].c_str(), RNN_TRANSLATE_OF_BYTES, 1, static_cast<int64_t>(bytes.size()), bytes.data()});
  }
  sections.push_back({"search", RNN_TRANSLATE_OF_FLOAT64, 1, static_cast<int64_t>(search.size()), search.data()});
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
      [](const nb::dict& tensors, const nb::dict& texts, const std::vector<double>& search, int cell, int attention,
         int precision, int64_t source_vocabulary, int64_t target_vocabulary, int64_t embedding_size,
         int64_t hidden_size, int64_t encoder_layers, int64_t decoder_layers) {
        return make_model_file(tensors,
                               {cell, attention, precision, source_vocabulary, target_vocabulary, embedding_size,
                                hidden_size, encoder_layers, decoder_layers},
                               texts, search);
      },
      "tensors"_a, "texts"_a, "search"_a, nb::kw_only(), "cell"_a, "attention"_a, "precision"_a, "source_vocabulary"_a,
      "target_vocabulary"_a, "embedding_size"_a, "hidden_size"_a, "encoder_layers"_a, "decoder_layers"_a);
}
