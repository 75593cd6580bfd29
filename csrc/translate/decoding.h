// Hypotheses of many sources as all networks of an ensemble see them: where they stand, and what may come next.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "translate/network.h"

namespace rnn_engine::translate {

// Networks of one source and one target vocabulary, at least one.
using Ensemble = std::vector<const Network*>;

// A source as each of the networks looks at it.
using Sources = std::vector<std::unique_ptr<Source>>;

// Hypotheses of one source, whose rows follow each other.
struct Rows {
  const Sources* source;
  std::int64_t count;
};

// Of every network the same rows of its output's product (see Linear::pick).
using Products = std::vector<std::unique_ptr<Linear>>;

// For one thread.
class Decoding {
 public:
  explicit Decoding(const Ensemble& networks);

  std::int64_t rows() const { return rows_; }

  // Reads sources, the longest first, each ended by eos.
  std::vector<Sources> encode(const std::vector<std::vector<std::int32_t>>& sources) const;
  // Puts new hypotheses, before their first token, behind those that there are: `each` of every source.
  void append(const std::vector<Sources>& sources, std::int64_t each);
  // Goes on with some of the rows, in any order and number.
  void select(const std::vector<std::int64_t>& rows);
  // Goes on with the first rows alone.
  void keep_first(std::int64_t rows) { rows_ = rows; }

  // Advances all by a token. `attention` gets the weights from which it comes, of the networks' mean, [S] of each row
  // one behind the other.
  void step(const std::vector<Rows>& groups, const std::vector<std::int32_t>& tokens, float* attention);

  // Of the vocabulary after rows `first`..: log-probabilities but for what `log_total` tells; [count, V], the caller's
  // to change until the next call. Those of several networks are averaged: of a whole translation that gives the mean
  // of what the networks think of it, each for itself, which is how the translations are compared.
  float* scores(std::int64_t first, std::int64_t count);
  // The same for `size` words alone, whose log-probabilities are among these: [count, size].
  float* scores(std::int64_t first, std::int64_t count, const Products& words, std::int64_t size);
  double log_total(const RowTotal<float>& row) const { return members_.size() > 1 ? 0.0 : translate::log_total(row); }

  std::int64_t vocabulary() const { return members_.front().network->shape().target_vocabulary; }
  const Kernels<float>& kernels() const { return members_.front().network->kernels(); }

 private:
  struct Member {
    const Network* network;
    States states, next;
    Scratch scratch;
    const float* features = nullptr;  // of the last step
  };

  // [count, size], if product(m) is what gives them of network m's vectors.
  template <class Product>
  float* averaged(std::int64_t first, std::int64_t count, std::int64_t size, const Product& product);

  std::vector<Member> members_;
  std::int64_t rows_ = 0;
  Buffer logits_, mean_;
  std::vector<float> tops_;
};

}  // namespace rnn_engine::translate
