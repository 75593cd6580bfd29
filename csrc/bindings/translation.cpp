// A network for translating, and its search.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <string>
#include <vector>

#include "bindings/context.h"
#include "bindings/model_file.h"
#include "rnn_translate.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using Ids = std::vector<int32_t>;

// A copy of values, which Python can look at without NumPy.
template <class T>
nb::bytes as_bytes(const T* values, size_t count) {
  return nb::bytes(values, count * sizeof(T));
}

// A hypothesis: ids, log-probability, score, attention [S] that each source subword got, and that of each step [T, S]
// or None, as the bytes of float32.
nb::tuple as_tuple(const rnn_translate_hypothesis& found, size_t source_length) {
  nb::list tokens;
  for (int64_t i = 0; i < found.length; ++i) tokens.append(found.tokens[i]);
  const size_t weights = (static_cast<size_t>(found.length) + 1) * source_length;
  const nb::object attention = found.attention ? nb::object(as_bytes(found.attention, weights)) : nb::none();
  return nb::make_tuple(nb::tuple(tokens), found.log_probability, found.score, as_bytes(found.coverage, source_length),
                        attention);
}

bool all_finite(const Input& values) {
  require_values(values.device, values.type, values.count, {kCpu, type_of(RNN_ENGINE_FLOAT32), values.count}, "values");
  return rnn_translate_all_finite(static_cast<const float*>(values.data), values.count) != 0;
}

class Translation {
 public:
  Translation(const rnn_translate_shape& shape, const nb::dict& tensors, const std::optional<std::string>& isa) {
    const NamedTensors named(tensors);
    released(linked_functions(), [&] {
      return rnn_translate_model_create(&shape, named.data(), named.size(), isa ? isa->c_str() : nullptr, &raw_);
    });
  }
  Translation(const ModelFile& file, const std::optional<std::string>& isa) : raw_(file.network(isa)) {}
  // An ensemble of several.
  explicit Translation(const std::vector<const Translation*>& parts) {
    std::vector<const rnn_translate_model*> models;
    for (const Translation* part : parts) models.push_back(part->raw_);
    check(linked_functions(), rnn_translate_model_join(models.data(), static_cast<int64_t>(models.size()), &raw_));
  }
  Translation(const Translation&) = delete;
  ~Translation() { rnn_translate_model_destroy(raw_); }

  // `first` holds int64, the others int32.
  void set_shortlist(const nb::bytes& first, const nb::bytes& candidates, const nb::bytes& frequent) {
    const auto count_of = [](const nb::bytes& values, size_t size) {
      return static_cast<int64_t>(values.size() / size);
    };
    const rnn_translate_shortlist lists{count_of(first, sizeof(int64_t)) - 1,
                                        reinterpret_cast<const int64_t*>(first.c_str()),
                                        reinterpret_cast<const int32_t*>(candidates.c_str()),
                                        count_of(candidates, sizeof(int32_t)),
                                        reinterpret_cast<const int32_t*>(frequent.c_str()),
                                        count_of(frequent, sizeof(int32_t))};
    released(linked_functions(), [&] { return rnn_translate_model_set_shortlist(raw_, &lists); });
  }

  nb::list search(const std::vector<Ids>& sources, const std::vector<int64_t>& max_lengths,
                  const std::optional<std::vector<Ids>>& prefixes, const rnn_translate_options& options,
                  const std::optional<nb::callable>& progress) const {
    if (sources.size() != max_lengths.size()) throw nb::value_error("expected as many max_lengths as sources");
    if (prefixes && sources.size() != prefixes->size()) throw nb::value_error("expected as many prefixes as sources");
    std::vector<rnn_translate_sentence> sentences;
    for (size_t i = 0; i < sources.size(); ++i) {
      sentences.push_back({sources[i].data(), static_cast<int64_t>(sources[i].size()), max_lengths[i], nullptr, 0});
      if (!prefixes) continue;
      sentences.back().prefix = (*prefixes)[i].data();
      sentences.back().prefix_length = static_cast<int64_t>((*prefixes)[i].size());
    }
    rnn_translate_results* results = nullptr;
    watched(progress, [&](Watch& watch) {
      return rnn_translate_search(raw_, &options, sentences.data(), static_cast<int64_t>(sentences.size()),
                                  &Watch::poll, &watch, &results);
    });
    nb::list all;
    for (size_t i = 0; i < sources.size(); ++i) {
      nb::list found;
      for (int64_t h = results->first[i]; h < results->first[i + 1]; ++h)
        found.append(as_tuple(results->hypotheses[h], sources[i].size() + 1));
      all.append(found);
    }
    rnn_translate_results_destroy(results);
    return all;
  }

  // Of each pair the log-probabilities [T], float64, and the attention [T, S], float32, or None.
  nb::list score(const std::vector<Ids>& sources, const std::vector<Ids>& targets, const rnn_translate_scoring& options,
                 const std::optional<nb::callable>& progress) const {
    if (sources.size() != targets.size()) throw nb::value_error("expected as many targets as sources");
    std::vector<rnn_translate_pair> pairs;
    for (size_t i = 0; i < sources.size(); ++i)
      pairs.push_back({sources[i].data(), static_cast<int64_t>(sources[i].size()), targets[i].data(),
                       static_cast<int64_t>(targets[i].size())});
    rnn_translate_scores* scores = nullptr;
    watched(progress, [&](Watch& watch) {
      return rnn_translate_score(raw_, &options, pairs.data(), static_cast<int64_t>(pairs.size()), &Watch::poll, &watch,
                                 &scores);
    });
    nb::list all;
    for (size_t i = 0; i < sources.size(); ++i) {
      const size_t S = sources[i].size() + 1, T = targets[i].size() + 1;
      const rnn_translate_score_of& found = scores->pairs[i];
      const nb::object attention = found.attention ? nb::object(as_bytes(found.attention, T * S)) : nb::none();
      all.append(nb::make_tuple(as_bytes(found.log_probabilities, T), attention));
    }
    rnn_translate_scores_destroy(scores);
    return all;
  }

 private:
  // What happens between steps: progress is told, and signals are heard.
  struct Watch {
    const std::optional<nb::callable>& progress;
    int64_t told = 0;
    int steps = 0;
    std::optional<nb::python_error> error = std::nullopt;

    static int poll(void* user, int64_t done) {
      auto& self = *static_cast<Watch*>(user);
      constexpr int kEvery = 16;
      if (done == self.told && ++self.steps % kEvery) return 0;
      nb::gil_scoped_acquire acquire;
      try {
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
        if (self.progress) (*self.progress)(done - self.told);  // even of none: the caller may want to give up
        self.told = done;
        return 0;
      } catch (nb::python_error& error) {
        self.error.emplace(std::move(error));
        return 1;
      }
    }
  };

  // Runs `call` without Python's lock, watched; throws what happened meanwhile.
  template <class Call>
  static void watched(const std::optional<nb::callable>& progress, const Call& call) {
    Watch watch{progress};
    try {
      released(linked_functions(), [&] { return call(watch); });
    } catch (...) {
      if (watch.error) watch.error->restore(), nb::raise_python_error();
      throw;
    }
  }

  rnn_translate_model* raw_ = nullptr;
};

}  // namespace

void bind_translation(nb::module_& module) {
  module.def("all_finite", &all_finite, "values"_a);
  nb::class_<Translation>(module, "Translation")
      .def(
          "__init__",
          [](Translation* self, const nb::dict& tensors, const ShapeNumbers& shape,
             const std::optional<std::string>& isa) { new (self) Translation(shape_of(shape), tensors, isa); },
          "tensors"_a, "shape"_a, "isa"_a = nb::none())
      .def(nb::init<const ModelFile&, const std::optional<std::string>&>(), "file"_a, "isa"_a = nb::none())
      .def_static(
          "join", [](const std::vector<const Translation*>& parts) { return new Translation(parts); }, "parts"_a,
          nb::rv_policy::take_ownership)
      .def("set_shortlist", &Translation::set_shortlist, "first"_a, "candidates"_a, "frequent"_a)
      .def(
          "search",
          [](const Translation& self, const std::vector<Ids>& sources, const std::vector<int64_t>& max_lengths,
             const std::optional<std::vector<Ids>>& prefixes, int64_t beam_size, int64_t n_best, double length_penalty,
             int64_t no_repeat_ngram, int64_t min_length, int32_t bos, int32_t eos, const Ids& forbidden,
             const std::optional<nb::dict>& sampling, bool attention, int64_t shortlist, int64_t batch_size,
             int32_t threads, const std::optional<nb::callable>& progress) {
            rnn_translate_options options{};
            options.shortlist = shortlist;
            options.beam_size = beam_size;
            options.n_best = n_best;
            options.length_penalty = length_penalty;
            options.no_repeat_ngram = no_repeat_ngram;
            options.min_length = min_length;
            options.bos = bos;
            options.eos = eos;
            options.forbidden = forbidden.data();
            options.forbidden_count = static_cast<int64_t>(forbidden.size());
            options.attention = attention;
            options.batch_size = batch_size;
            options.threads = threads;
            if (sampling) {
              options.sample = 1;
              options.temperature = nb::cast<double>((*sampling)["temperature"]);
              options.top_k = nb::cast<int64_t>((*sampling)["top_k"]);
              options.top_p = nb::cast<double>((*sampling)["top_p"]);
              options.seed = nb::cast<uint64_t>((*sampling)["seed"]);
            }
            return self.search(sources, max_lengths, prefixes, options, progress);
          },
          "sources"_a, "max_lengths"_a, "prefixes"_a = nb::none(), nb::kw_only(), "beam_size"_a, "n_best"_a,
          "length_penalty"_a, "no_repeat_ngram"_a, "min_length"_a, "bos"_a, "eos"_a, "forbidden"_a,
          "sampling"_a = nb::none(), "attention"_a = false, "shortlist"_a = 0, "batch_size"_a, "threads"_a,
          "progress"_a = nb::none())
      .def(
          "score",
          [](const Translation& self, const std::vector<Ids>& sources, const std::vector<Ids>& targets, int32_t bos,
             int32_t eos, bool attention, int64_t batch_size, int32_t threads,
             const std::optional<nb::callable>& progress) {
            return self.score(sources, targets, {bos, eos, attention, batch_size, threads}, progress);
          },
          "sources"_a, "targets"_a, nb::kw_only(), "bos"_a, "eos"_a, "attention"_a, "batch_size"_a, "threads"_a,
          "progress"_a = nb::none());
}
