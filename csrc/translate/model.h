// What a handle of the C API stands for.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "translate/decoding.h"
#include "translate/file.h"
#include "translate/network.h"
#include "translate/shortlist.h"

namespace rnn_engine::translate {

struct Part {
  std::shared_ptr<const ModelFile> file;  // that the network's weights lie in, if any
  Network network;
};

}  // namespace rnn_engine::translate

// One network, or an ensemble; networks may belong to several.
struct rnn_translate_model {
  rnn_translate_model(std::shared_ptr<const rnn_engine::translate::ModelFile> file, const rnn_translate_shape& shape,
                      const rnn_engine::translate::Tensors& tensors, const char* isa)
      : parts{std::shared_ptr<const rnn_engine::translate::Part>(
            new rnn_engine::translate::Part{std::move(file), rnn_engine::translate::Network(shape, tensors, isa)})} {}
  rnn_translate_model(std::vector<std::shared_ptr<const rnn_engine::translate::Part>> all,
                      rnn_engine::translate::Shortlists lists)
      : parts(std::move(all)), shortlists(std::move(lists)) {}

  const rnn_translate_shape& shape() const { return parts.front()->network.shape(); }
  rnn_engine::translate::Ensemble networks() const {
    rnn_engine::translate::Ensemble all;
    for (const auto& part : parts) all.push_back(&part->network);
    return all;
  }

  std::vector<std::shared_ptr<const rnn_engine::translate::Part>> parts;
  rnn_engine::translate::Shortlists shortlists;
};
