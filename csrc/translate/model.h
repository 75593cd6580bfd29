// What a handle of the C API stands for.
#pragma once

#include <memory>

#include "translate/file.h"
#include "translate/network.h"

struct rnn_translate_model {
  std::shared_ptr<const rnn_engine::translate::ModelFile> file;  // that the network's weights lie in, if any
  rnn_engine::translate::Network network;
};
