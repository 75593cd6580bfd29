#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/arguments.h"
#include "rnn_translate.h"
#include "translate/forced.h"
#include "translate/model.h"
#include "translate/search.h"

using namespace rnn_engine;
using namespace rnn_engine::translate;

namespace {

struct Results : rnn_translate_results {
  std::vector<std::vector<Finished>> found;
  std::vector<rnn_translate_hypothesis> list;
  std::vector<std::int64_t> begins;

  explicit Results(std::vector<std::vector<Finished>> all) : found(std::move(all)) {
    for (const auto& sentence : found) {
      begins.push_back(static_cast<std::int64_t>(list.size()));
      for (const Finished& each : sentence)
        list.push_back({each.tokens.data(), static_cast<std::int64_t>(each.tokens.size()), each.log_probability,
                        each.score, each.coverage.data(), each.attention.empty() ? nullptr : each.attention.data()});
    }
    begins.push_back(static_cast<std::int64_t>(list.size()));
    hypotheses = list.data();
    first = begins.data();
  }
};

struct Scores : rnn_translate_scores {
  std::vector<Forced> found;
  std::vector<rnn_translate_score_of> list;

  explicit Scores(std::vector<Forced> all) : found(std::move(all)) {
    for (const Forced& each : found)
      list.push_back({each.log_probabilities.data(), each.attention.empty() ? nullptr : each.attention.data()});
    pairs = list.data();
  }
};

constexpr std::int64_t kMost = 1 << 20, kLongest = 1 << 24, kMostSentences = std::int64_t{1} << 40;

void require_within(const std::string& name, std::int64_t value, std::int64_t least, std::int64_t most) {
  require(value >= least && value <= most, name + ": expected " + std::to_string(least) + " to " +
                                               std::to_string(most) + ", got " + std::to_string(value));
}

// What searching and scoring are both told.
template <class Options>
void require_common(const Options& options, const rnn_translate_shape& shape) {
  require_within("bos", options.bos, 0, shape.target_vocabulary - 1);
  for (const std::int64_t vocabulary : {shape.target_vocabulary, shape.source_vocabulary})
    require_within("eos", options.eos, 0, vocabulary - 1);
  require_within("batch_size", options.batch_size, 1, kMost);
  require_within("threads", options.threads, 1, 1024);
}

void require_sampling(const rnn_translate_options& options) {
  require_within("beam_size", options.beam_size, options.n_best, options.n_best);
  require(options.temperature >= 1e-3 && options.temperature <= 1e3,
          "temperature: expected 0.001 to 1000, got " + std::to_string(options.temperature));
  require_within("top_k", options.top_k, 0, kLongest);
  require(options.top_p >= 0 && options.top_p <= 1, "top_p: expected 0 to 1, got " + std::to_string(options.top_p));
}

void require_options(const rnn_translate_options& options, const rnn_translate_shape& shape) {
  const std::int64_t vocabulary = shape.target_vocabulary;
  require_within("beam_size", options.beam_size, 1, kMost);
  require_within("n_best", options.n_best, 1, options.beam_size);
  require(std::isfinite(options.length_penalty) && options.length_penalty >= 0 && options.length_penalty <= 100,
          "length_penalty: expected 0 to 100, got " + std::to_string(options.length_penalty));
  require_within("no_repeat_ngram", options.no_repeat_ngram, 0, kMost);
  require_common(options, shape);
  require_within("min_length", options.min_length, 0, kLongest);
  require_within("shortlist", options.shortlist, 0, kLongest);
  if (options.sample) require_sampling(options);
  require_within("forbidden_count", options.forbidden_count, 0, vocabulary);
  if (options.forbidden_count) require_pointer(options.forbidden, "forbidden");
  for (std::int64_t i = 0; i < options.forbidden_count; ++i)
    require_within("forbidden", options.forbidden[i], 0, vocabulary - 1);
}

void require_ids(const std::string& name, const std::int32_t* ids, std::int64_t length, std::int64_t least,
                 std::int64_t vocabulary) {
  require_within(name + ": length", length, least, kLongest);
  if (length) require_pointer(ids, name.c_str());
  for (std::int64_t i = 0; i < length; ++i) require_within(name + ": id", ids[i], 0, vocabulary - 1);
}

void require_prefix(const std::string& name, const rnn_translate_sentence& sentence,
                    const rnn_translate_options& options, std::int64_t vocabulary) {
  require_ids(name, sentence.prefix, sentence.prefix_length, 0, vocabulary);
  require_within(name + ": length", sentence.prefix_length, 0, sentence.max_length - 1);
  for (std::int64_t i = 0; i < sentence.prefix_length; ++i)
    require(sentence.prefix[i] != options.eos, name + ": expected ids other than eos");
}

// Calls `work` with what asks the caller whether to give up, and hands on what it returns, made into a Result.
template <class Result, class Base, class Work>
void hand_over(std::int64_t count, rnn_translate_poll poll, void* user, Base** to, const Work& work) {
  auto found = work([&](std::int64_t done) { return poll && poll(user, done) != 0; });
  if (static_cast<std::int64_t>(found.size()) != count) throw Interrupted("given up, as the caller asked");
  *to = new Result(std::move(found));
}

}  // namespace

extern "C" {

int rnn_translate_model_create(const rnn_translate_shape* shape, const rnn_translate_tensor* tensors, int64_t count,
                               const char* isa, rnn_translate_model** model) {
  return guarded([&] {
    require_pointer(shape, "shape");
    require_pointer(tensors, "tensors");
    require_pointer(model, "model");
    require_within("count", count, 0, 1 << 20);
    *model = new rnn_translate_model(nullptr, *shape, Tensors(tensors, count), isa);
  });
}

int rnn_translate_model_join(const rnn_translate_model* const* models, int64_t count, rnn_translate_model** model) {
  return guarded([&] {
    require_within("count", count, 1, 1024);
    require_pointer(models, "models");
    require_pointer(model, "model");
    std::vector<std::shared_ptr<const Part>> parts;
    Shortlists lists;
    bool all_listed = true;
    for (std::int64_t i = 0; i < count; ++i) {
      const std::string name = "model " + std::to_string(i);
      require_pointer(models[i], name.c_str());
      const rnn_translate_shape &mine = models[i]->shape(), &first = models[0]->shape();
      require_within(name + ": source_vocabulary", mine.source_vocabulary, first.source_vocabulary,
                     first.source_vocabulary);
      require_within(name + ": target_vocabulary", mine.target_vocabulary, first.target_vocabulary,
                     first.target_vocabulary);
      parts.insert(parts.end(), models[i]->parts.begin(), models[i]->parts.end());
      lists.insert(lists.end(), models[i]->shortlists.begin(), models[i]->shortlists.end());
      all_listed = all_listed && !models[i]->shortlists.empty();
    }
    *model = new rnn_translate_model(std::move(parts), all_listed ? std::move(lists) : Shortlists{});
  });
}

void rnn_translate_model_destroy(rnn_translate_model* model) { delete model; }

int rnn_translate_model_set_shortlist(rnn_translate_model* model, const rnn_translate_shortlist* shortlist) {
  return guarded([&] {
    require_pointer(model, "model");
    require_pointer(shortlist, "shortlist");
    require_pointer(shortlist->first, "first");
    require_within("count", shortlist->count, 0, kMostSentences);
    require_within("frequent_count", shortlist->frequent_count, 0, kLongest);
    if (shortlist->count) require_pointer(shortlist->candidates, "candidates");
    if (shortlist->frequent_count) require_pointer(shortlist->frequent, "frequent");
    model->shortlists = {std::make_shared<const Shortlist>(*shortlist, model->shape())};
  });
}

int rnn_translate_search(const rnn_translate_model* model, const rnn_translate_options* options,
                         const rnn_translate_sentence* sentences, int64_t count, rnn_translate_poll poll, void* user,
                         rnn_translate_results** results) {
  return guarded([&] {
    require_pointer(model, "model");
    require_pointer(options, "options");
    require_pointer(results, "results");
    require_within("count", count, 0, kMostSentences);
    if (count) require_pointer(sentences, "sentences");
    const rnn_translate_shape& shape = model->shape();
    require_options(*options, shape);
    require(options->shortlist == 0 || !model->shortlists.empty(), "shortlist: the model has none");
    for (std::int64_t i = 0; i < count; ++i) {
      const std::string name = "sentence " + std::to_string(i);
      require_ids(name, sentences[i].source, sentences[i].length, 1, shape.source_vocabulary);
      require_within(name + ": max_length", sentences[i].max_length, 1, kLongest);
      require_prefix(name + ": prefix", sentences[i], *options, shape.target_vocabulary);
    }
    hand_over<Results>(count, poll, user, results, [&](const Poll& asked) {
      return search(model->networks(), model->shortlists, *options, sentences, count, asked);
    });
  });
}

void rnn_translate_results_destroy(rnn_translate_results* results) { delete static_cast<Results*>(results); }

int rnn_translate_score(const rnn_translate_model* model, const rnn_translate_scoring* options,
                        const rnn_translate_pair* pairs, int64_t count, rnn_translate_poll poll, void* user,
                        rnn_translate_scores** scores) {
  return guarded([&] {
    require_pointer(model, "model");
    require_pointer(options, "options");
    require_pointer(scores, "scores");
    require_within("count", count, 0, kMostSentences);
    if (count) require_pointer(pairs, "pairs");
    const rnn_translate_shape& shape = model->shape();
    require_common(*options, shape);
    for (std::int64_t i = 0; i < count; ++i) {
      const std::string name = "pair " + std::to_string(i);
      require_ids(name + ": source", pairs[i].source, pairs[i].source_length, 0, shape.source_vocabulary);
      require_ids(name + ": target", pairs[i].target, pairs[i].target_length, 0, shape.target_vocabulary);
    }
    hand_over<Scores>(count, poll, user, scores,
                      [&](const Poll& asked) { return force(model->networks(), *options, pairs, count, asked); });
  });
}

void rnn_translate_scores_destroy(rnn_translate_scores* scores) { delete static_cast<Scores*>(scores); }

}  // extern "C"
