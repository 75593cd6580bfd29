// Model files, and the tensors that networks are made of, as Python sees them.
#pragma once

#include <nanobind/nanobind.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "bindings/context.h"
#include "rnn_translate_file.h"

// Float32 arrays by name, for as long as a call takes.
class NamedTensors {
 public:
  explicit NamedTensors(const nanobind::dict& tensors);
  const rnn_translate_tensor* data() const { return list_.data(); }
  int64_t size() const { return static_cast<int64_t>(list_.size()); }

 private:
  std::vector<std::string> names_;
  std::vector<Input> values_;
  std::vector<rnn_translate_tensor> list_;
};

// Of a shape's numbers in their order.
using ShapeNumbers = std::array<int64_t, 14>;
rnn_translate_shape shape_of(const ShapeNumbers& numbers);

class ModelFile {
 public:
  explicit ModelFile(const nanobind::bytes& path);
  ModelFile(const ModelFile&) = delete;
  ~ModelFile() { rnn_translate_file_close(raw_); }

  // (name, type, rows, columns) of each section.
  nanobind::list sections() const;
  // A copy of the bytes of a section that is no matrix; None if there is none of that name.
  nanobind::object read(const std::string& name) const;
  rnn_translate_model* network(const std::optional<std::string>& isa) const;

 private:
  rnn_translate_file* raw_ = nullptr;
};
