// The attention network: weights packed once, and what it computes. Never changed after it is made: any number of
// threads may use it at a time, each with a Scratch of its own.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "cells/table.h"
#include "cpu/kernels/kernels.h"
#include "rnn_translate.h"
#include "translate/linear.h"
#include "translate/memory.h"
#include "translate/recurrence.h"
#include "translate/sharing.h"
#include "translate/table.h"

namespace rnn_engine::translate {

// A source as the decoder looks at it.
struct Source {
  std::int64_t length = 0;          // S, with eos
  std::vector<float> keys;          // of each head [S, A / heads]
  std::vector<float> values;        // of each head [S, C / heads]
  std::vector<float> hidden, cell;  // [L, H] before the first token
  std::vector<float> fed;           // [H] zeros, with input feeding
};

// Hypotheses of one source, whose rows follow each other.
struct Group {
  const Source* source;
  std::int64_t rows;
};

// What a step of N hypotheses goes through; grows as needed.
struct Scratch {
  Buffer states, queries, head_scores, joined, vectors, features, scores;
};

// States of N hypotheses.
struct States {
  std::vector<Buffer> hidden, cell;  // of each layer, [N, H]
  Buffer fed;                        // [N, H] attentional vectors of the step before, with input feeding
  explicit States(std::int64_t layers)
      : hidden(static_cast<std::size_t>(layers)), cell(static_cast<std::size_t>(layers)) {}
};

inline constexpr std::int64_t kLogitRows = 48;  // rows of logits that stay in the second cache

// What is taken off a logit of its row to make it a log-probability.
inline double log_total(const RowTotal<float>& row) {
  return static_cast<double>(row.highest) + std::log(static_cast<double>(row.total));
}

class Network {
 public:
  Network(const rnn_translate_shape& shape, const Tensors& tensors, const char* isa);
  Network(const Network&) = delete;

  const rnn_translate_shape& shape() const { return shape_; }
  const Kernels<float>& kernels() const { return backend_.f32; }

  // To share one sentence with.
  const Helpers& helpers() const { return helpers_; }

  // Reads sources, the longest first, each ended by eos.
  std::vector<std::unique_ptr<Source>> encode(const std::vector<std::vector<std::int32_t>>& sources) const;

  // Advances all hypotheses by a token: `states` become those after it. attention(row, weights) is called for each row
  // with its weights [S]. Returns vectors for `output`, [N, E].
  template <class Attention>
  const float* step(const std::vector<Group>& groups, const std::vector<std::int32_t>& tokens, States& states,
                    Scratch& scratch, const Attention& attention) const {
    std::int64_t row = 0;
    const float* queries = ask(tokens, states, scratch);
    for (const Group& group : groups) {
      const float* weights = attend(group, row, queries, scratch);
      for (std::int64_t k = 0; k < group.rows; ++k) attention(row + k, weights + k * group.source->length);
      row += group.rows;
    }
    answer(row, states, scratch);
    return read_out(row, states, scratch);
  }

  // Makes scores of the vocabulary of `step`'s vectors.
  const Linear& output() const { return *output_; }

 private:
  void make_tables(const Tensors& tensors);
  // Runs the layers below attention: its queries [N, A].
  const float* ask(const std::vector<std::int32_t>& tokens, States& states, Scratch& scratch) const;
  const float* attend(const Group& group, std::int64_t row, const float* states, Scratch& scratch) const;
  // Runs the layers above attention, which read [context; state].
  void answer(std::int64_t rows, States& states, Scratch& scratch) const;
  const float* read_out(std::int64_t rows, States& states, Scratch& scratch) const;
  std::unique_ptr<Source> source_of(const std::vector<const float*>& states, const std::vector<const float*>& keys,
                                    float* summary) const;
  void begin(std::int64_t rows, const float* summaries, std::vector<std::unique_ptr<Source>>& sources) const;

  std::int64_t states_of_layer() const { return kCellTable[shape_.cell].single_state ? 1 : 2; }
  std::int64_t context_size() const {  // C
    return 2 * shape_.hidden_size + (shape_.attend_embeddings ? shape_.embedding_size : 0);
  }
  std::size_t asking_layers() const { return shape_.context == RNN_TRANSLATE_UPPER ? 1 : decoder_.size(); }

  rnn_translate_shape shape_;
  Helpers helpers_;
  const Backend backend_;                                     // layers and matrices point to its kernels
  std::shared_ptr<const Table> source_table_, target_table_;  // may be one
  std::unique_ptr<Recurrence> encoder_;
  std::vector<std::unique_ptr<Recurrence>> decoder_;
  std::unique_ptr<Linear> bridge_, keys_, queries_, attentional_, readout_, output_;
  std::vector<float> vector_;  // [A] of additive attention
};

}  // namespace rnn_engine::translate
