// The translator's C API under arbitrary questions: bytes become a network's shape, a shortlist, options, sentences and
// pairs, most of them right, some of them anything at all.
//
// What must hold: a question is refused with a message, or answered, or given up because the caller said so. An answer
// is as long as it may be, begins as it should, is made of the words that it may use, and has the bits of the generic
// instruction set, whatever the threads.
// Every array ends where it should, so that a sanitizer sees the first value beyond it.
//
// The entry is libFuzzer's; replay.cpp calls it without libFuzzer.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <vector>

#include "fuzz.h"
#include "network.h"

namespace {

struct Destroy {
  void operator()(rnn_translate_model* model) const { rnn_translate_model_destroy(model); }
  void operator()(rnn_translate_results* results) const { rnn_translate_results_destroy(results); }
  void operator()(rnn_translate_scores* scores) const { rnn_translate_scores_destroy(scores); }
};
template <class T>
using Owned = std::unique_ptr<T, Destroy>;
using Model = Owned<rnn_translate_model>;

void expect_code(int code, bool stopped) {
  if (code == RNN_ENGINE_OK) return;
  expect(*rnn_engine_last_error() != 0, "an error without a message");
  expect(code == RNN_ENGINE_INVALID || (code == RNN_ENGINE_INTERRUPTED && stopped), "an error of another kind");
}

enum Weights { kDrawn, kWithNan, kHuge };

Model model_of(const rnn_translate_shape& shape, const char* isa, Weights weights) {
  static Tensors tensors;
  make_tensors(&tensors, &shape);
  auto* bias = const_cast<float*>(tensors.list[2].values);
  if (weights == kWithNan) bias[5] = std::numeric_limits<float>::quiet_NaN();
  if (weights == kHuge)
    for (int i = 0; i < TARGET; ++i) bias[i] *= 1e38f;
  rnn_translate_model* made = nullptr;
  expect(rnn_translate_model_create(&shape, tensors.list, tensors.count, isa, &made) == 0, "model");
  release_tensors(&tensors);
  return Model(made);
}

// The same networks for an instruction set: cells and precisions, numbers that are none, and ensembles.
std::vector<Model> models_of(const char* isa) {
  std::vector<Model> all;
  for (int cell = RNN_ENGINE_LSTM; cell <= RNN_ENGINE_GRU; ++cell)
    for (int precision = RNN_TRANSLATE_FLOAT32; precision <= RNN_TRANSLATE_BFLOAT16; ++precision)
      all.push_back(model_of(shape_of(cell, cell % 3, precision, 1 + cell % 2), isa, kDrawn));
  for (const Weights weights : {kWithNan, kHuge})
    all.push_back(model_of(shape_of(RNN_ENGINE_LSTM, RNN_TRANSLATE_DOT, RNN_TRANSLATE_FLOAT32, 1), isa, weights));
  for (const std::size_t first : {0, 5}) {
    const rnn_translate_model* parts[] = {all[first].get(), all[first + 1].get(), all[first + 4].get()};
    rnn_translate_model* joined = nullptr;
    expect(rnn_translate_model_join(parts, 3, &joined) == 0, "join");
    all.emplace_back(joined);
  }
  return all;
}

// Ids of arrays of exactly their length; now and then one is none.
struct Ids {
  std::vector<std::unique_ptr<std::int32_t[]>> arrays;

  const std::int32_t* make(Bytes& bytes, std::int64_t length, std::int64_t vocabulary) {
    auto& array = arrays.emplace_back(new std::int32_t[static_cast<std::size_t>(length)]);
    for (std::int64_t i = 0; i < length; ++i)
      array[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(bytes.between(4, vocabulary - 1));
    if (length && bytes.between(0, 31) == 0) array[0] = static_cast<std::int32_t>(bytes.take(4));
    return array.get();
  }
};

// Lists of whatever lengths, in arrays of exactly these, most often as they should be. They take few of the bytes.
struct Lists {
  std::vector<std::int64_t> first{0};
  std::unique_ptr<std::int32_t[]> candidates, frequent;
  rnn_translate_shortlist given{};

  explicit Lists(Bytes& bytes) {
    std::minstd_rand random(static_cast<unsigned>(bytes.take(2)));
    const auto make = [&](std::int64_t count) {
      std::unique_ptr<std::int32_t[]> ids(new std::int32_t[static_cast<std::size_t>(count)]);
      for (std::int64_t i = 0; i < count; ++i) ids[static_cast<std::size_t>(i)] = static_cast<int>(random() % TARGET);
      return ids;
    };
    for (int i = 0; i < SOURCE; ++i) first.push_back(first.back() + static_cast<std::int64_t>(random() % 5 % 4));
    const std::int64_t count = bytes.between(0, 5);
    candidates = make(first.back());
    frequent = make(count);
    if (count && bytes.between(0, 15) == 0) frequent[0] = static_cast<std::int32_t>(bytes.take(4));
    given = {SOURCE, first.data(), candidates.get(), first.back(), frequent.get(), count};
    if (bytes.between(0, 7)) return;
    const auto any = static_cast<std::int64_t>(bytes.take(8));
    std::int64_t* const numbers[] = {&given.sources, &given.count, &given.frequent_count,
                                     &first[static_cast<std::size_t>(bytes.between(0, SOURCE))]};
    std::int64_t& number = *numbers[bytes.between(0, 3)];
    number = &number == &given.sources ? any : std::min(any, number);  // no array is shorter than it says
    if (bytes.flag()) given.candidates = nullptr;
    if (bytes.flag()) given.first = nullptr;
  }

  // Whether a hypothesis of a sentence may hold a word.
  bool allow(std::int32_t word, const rnn_translate_sentence& s, std::int64_t most) const {
    const auto among = [&](const std::int32_t* list, std::int64_t count) {
      return std::find(list, list + std::min(count, most), word) != list + std::min(count, most);
    };
    if (among(given.frequent, given.frequent_count)) return true;
    if (std::find(s.prefix, s.prefix + s.prefix_length, word) != s.prefix + s.prefix_length) return true;
    return std::any_of(s.source, s.source + s.length, [&](std::int32_t id) {
      const auto at = static_cast<std::size_t>(id);
      return among(given.candidates + first[at], first[at + 1] - first[at]);
    });
  }
};

struct Question {
  Ids ids;
  std::unique_ptr<Lists> lists;
  rnn_translate_options options{};
  rnn_translate_scoring scoring{};
  std::vector<rnn_translate_sentence> sentences;
  std::vector<rnn_translate_pair> pairs;
  int patience = 0;  // polls until the caller gives up
};

// One field is anything at all; lengths stay those of their arrays.
void spoil(Question& q, Bytes& bytes) {
  const auto any = static_cast<std::int64_t>(bytes.take(8));
  double number = 0;
  std::memcpy(&number, &any, sizeof number);
  const auto small = static_cast<std::int32_t>(any);
  rnn_translate_options& o = q.options;
  switch (bytes.between(0, 17)) {
    case 0:
      o.beam_size = any;
      break;
    case 1:
      o.n_best = any;
      break;
    case 2:
      o.length_penalty = number;
      break;
    case 3:
      o.no_repeat_ngram = any;
      break;
    case 4:
      o.bos = small;
      break;
    case 5:
      o.eos = q.scoring.eos = small;
      break;
    case 6:
      o.forbidden_count = std::min<std::int64_t>(any, 3);
      break;
    case 7:
      o.batch_size = q.scoring.batch_size = any;
      break;
    case 8:
      o.threads = q.scoring.threads = small;
      break;
    case 9:
      o.min_length = any;
      break;
    case 10:
      o.temperature = number;
      break;
    case 11:
      o.top_k = any;
      break;
    case 12:
      o.top_p = number;
      break;
    case 13:
      q.sentences.front().max_length = any;
      break;
    case 14:
      q.sentences.front().source = nullptr;
      break;
    case 15:
      o.shortlist = any;
      break;
    case 16:
      q.pairs.front().target_length = std::min<std::int64_t>(any, q.pairs.front().target_length);
      break;
    default:
      q.scoring.bos = small;
      break;
  }
}

Question decode(Bytes& bytes) {
  Question q;
  rnn_translate_options& o = q.options;
  o = options_of(static_cast<int>(bytes.between(1, 6)), 1, static_cast<int>(bytes.between(1, 5)));
  o.sample = bytes.flag();
  o.n_best = o.sample ? o.beam_size : bytes.between(1, o.beam_size);
  o.length_penalty = std::array{0.0, 1.0, 2.5}[static_cast<std::size_t>(bytes.between(0, 2))];
  o.no_repeat_ngram = bytes.between(0, 3);
  o.min_length = bytes.between(0, 6);
  o.attention = bytes.flag();
  o.temperature = std::array{0.01, 1.0, 7.0}[static_cast<std::size_t>(bytes.between(0, 2))];
  o.top_k = bytes.between(0, TARGET + 2);
  o.top_p = std::array{0.0, 0.6, 1.0}[static_cast<std::size_t>(bytes.between(0, 2))];
  o.seed = bytes.take(1);
  o.shortlist = std::max<std::int64_t>(0, bytes.between(-3, 3));
  q.scoring = {2, 3, bytes.flag(), o.batch_size, 1};
  q.lists = std::make_unique<Lists>(bytes);
  const std::int64_t count = bytes.between(1, 4);
  for (std::int64_t i = 0; i < count; ++i) {
    rnn_translate_sentence s{};
    s.length = bytes.between(1, 9);
    s.source = q.ids.make(bytes, s.length, SOURCE);
    s.max_length = bytes.between(1, 12);
    s.prefix_length = bytes.between(0, 3) ? 0 : bytes.between(0, s.max_length);
    s.prefix = q.ids.make(bytes, s.prefix_length, TARGET);
    q.sentences.push_back(s);
    const std::int64_t length = bytes.between(0, 7);
    q.pairs.push_back({s.source, bytes.between(0, s.length), q.ids.make(bytes, length, TARGET), length});
  }
  q.patience = bytes.between(0, 7) ? 400 : static_cast<int>(bytes.between(0, 5));
  if (bytes.between(0, 2) == 0) spoil(q, bytes);
  return q;
}

int give_up(void* user, std::int64_t) { return --*static_cast<int*>(user) < 0; }

// Ids, lengths, beginnings; the digest of all.
std::uint64_t looked_at(const Question& q, const rnn_translate_results& results) {
  std::uint64_t hash = 1;
  const rnn_translate_options& o = q.options;
  for (std::size_t i = 0; i < q.sentences.size(); ++i) {
    const rnn_translate_sentence& s = q.sentences[i];
    expect(results.first[i] <= results.first[i + 1] && results.first[i + 1] - results.first[i] <= o.n_best,
           "more hypotheses than wanted");
    for (std::int64_t h = results.first[i]; h < results.first[i + 1]; ++h) {
      const rnn_translate_hypothesis& each = results.hypotheses[h];
      const auto T = static_cast<std::size_t>(each.length), S = static_cast<std::size_t>(s.length + 1);
      expect(each.length < s.max_length && each.length >= std::min(o.min_length, s.max_length - 1), "another length");
      expect(each.length >= s.prefix_length && std::equal(s.prefix, s.prefix + s.prefix_length, each.tokens),
             "another beginning");
      for (std::size_t t = 0; t < T; ++t)
        expect(each.tokens[t] >= 0 && each.tokens[t] < TARGET && each.tokens[t] != o.eos &&
                   (!o.shortlist || q.lists->allow(each.tokens[t], s, o.shortlist)),
               "no token");
      expect(std::isfinite(each.log_probability) && std::isfinite(each.score), "a score that is none");
      expect((each.attention != nullptr) == (o.attention != 0), "attention is there if it is wanted");
      hash = hash * 31 + digest(each.tokens, sizeof(std::int32_t) * T);
      hash = hash * 31 + digest(&each.log_probability, sizeof(double));
      hash = hash * 31 + digest(each.coverage, sizeof(float) * S);
      if (each.attention) hash = hash * 31 + digest(each.attention, sizeof(float) * (T + 1) * S);
    }
  }
  return hash;
}

std::uint64_t searched(const Question& q, const rnn_translate_model* model, int threads) {
  rnn_translate_options options = q.options;
  if (options.threads == 1) options.threads = threads;
  int patience = q.patience;
  rnn_translate_results* raw = nullptr;
  const int code = rnn_translate_search(model, &options, q.sentences.data(), static_cast<int64_t>(q.sentences.size()),
                                        give_up, &patience, &raw);
  expect_code(code, patience < 0);
  const Owned<rnn_translate_results> results(raw);
  return code == RNN_ENGINE_OK ? looked_at(q, *results) : 0;
}

std::uint64_t scored(const Question& q, const rnn_translate_model* model, int threads) {
  rnn_translate_scoring options = q.scoring;
  if (options.threads == 1) options.threads = threads;
  int patience = q.patience;
  rnn_translate_scores* raw = nullptr;
  const int code = rnn_translate_score(model, &options, q.pairs.data(), static_cast<int64_t>(q.pairs.size()), give_up,
                                       &patience, &raw);
  expect_code(code, patience < 0);
  const Owned<rnn_translate_scores> scores(raw);
  if (code != RNN_ENGINE_OK) return 0;
  std::uint64_t hash = 1;
  for (std::size_t i = 0; i < q.pairs.size(); ++i) {
    const auto T = static_cast<std::size_t>(q.pairs[i].target_length + 1);
    const auto S = static_cast<std::size_t>(q.pairs[i].source_length + 1);
    for (std::size_t t = 0; t < T; ++t) {
      const double value = scores->pairs[i].log_probabilities[t];
      expect(!(value > 1e-3), "more than certain");
      if (value == value) hash = hash * 31 + digest(&value, sizeof value);  // what is no number may be another one
    }
    if (q.scoring.attention) hash = hash * 31 + digest(scores->pairs[i].attention, sizeof(float) * T * S);
  }
  return hash;
}

// A shape of which one number is anything at all is refused, or the network is made.
void try_shape(Bytes& bytes) {
  static Tensors tensors;
  rnn_translate_shape shape = shape_of(static_cast<int>(bytes.between(0, 5)), static_cast<int>(bytes.between(0, 3)),
                                       static_cast<int>(bytes.between(0, 3)), static_cast<int>(bytes.between(1, 2)));
  rnn_translate_shape right = shape;
  right.cell = std::min(right.cell, static_cast<std::int32_t>(RNN_ENGINE_GRU));
  make_tensors(&tensors, &right);
  const auto any = static_cast<std::int64_t>(bytes.take(8));
  std::int64_t* const sizes[] = {&shape.source_vocabulary, &shape.target_vocabulary, &shape.embedding_size,
                                 &shape.hidden_size,       &shape.encoder_layers,    &shape.decoder_layers,
                                 &shape.attention_heads,   &shape.zoneout,           &shape.input_feeding,
                                 &shape.attend_embeddings};
  if (bytes.flag()) *sizes[bytes.between(0, 9)] = any;
  const int count = bytes.flag() ? tensors.count : static_cast<int>(bytes.between(0, tensors.count));
  const auto which = static_cast<std::size_t>(bytes.between(0, tensors.count - 1));
  if (bytes.between(0, 3) == 0) tensors.list[which].count = any;
  rnn_translate_model* made = nullptr;
  expect_code(rnn_translate_model_create(&shape, tensors.list, count, "generic", &made), false);
  Model model(made);
  release_tensors(&tensors);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<Model> plain = models_of("generic"), best = models_of(nullptr);
  Bytes bytes(data, size);
  const auto which = static_cast<std::size_t>(bytes.between(0, static_cast<std::int64_t>(plain.size()) - 1));
  const int threads = static_cast<int>(bytes.between(1, 3));
  if (bytes.between(0, 3) == 0) try_shape(bytes);
  Question q = decode(bytes);
  const int refused = rnn_translate_model_set_shortlist(best[which].get(), &q.lists->given);
  expect_code(refused, false);
  expect(rnn_translate_model_set_shortlist(plain[which].get(), &q.lists->given) == refused,
         "only one refuses the lists");
  if (refused) q.options.shortlist = 0;  // the lists are those of another question
  const std::uint64_t found = searched(q, best[which].get(), threads), scores = scored(q, best[which].get(), threads);
  if (q.patience < 100) return 0;  // when a caller gives up depends on the threads
  expect(searched(q, plain[which].get(), 1) == found, "other hypotheses than one thread's");
  expect(scored(q, plain[which].get(), 1) == scores, "other scores than one thread's");
  return 0;
}
