#include "text/translator.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "base/error.h"
#include "text/plain.h"

namespace rnn_engine::text {
namespace {

constexpr int kPad = 0, kUnknown = 1, kBos = 2, kEos = 3, kSpecial = 4;
constexpr std::int64_t kBatchSize = 64;

void check(int code) {
  if (code == RNN_ENGINE_OK) return;
  if (code == RNN_ENGINE_INVALID) throw InvalidArgument(rnn_engine_last_error());
  throw std::runtime_error(rnn_engine_last_error());
}

void load(sentencepiece::SentencePieceProcessor& subwords, const rnn_translate_section& section, std::int64_t size,
          const std::string& path) {
  const auto status = subwords.LoadFromSerializedProto(
      {static_cast<const char*>(section.data), static_cast<std::size_t>(section.columns)});
  require(status.ok(), path + ": " + section.name + ": no SentencePiece model: " + status.ToString());
  require(subwords.GetPieceSize() == size, path + ": " + section.name + ": expected " + std::to_string(size) +
                                               " pieces, got " + std::to_string(subwords.GetPieceSize()));
  require(subwords.pad_id() == kPad && subwords.unk_id() == kUnknown && subwords.bos_id() == kBos &&
              subwords.eos_id() == kEos,
          path + ": " + section.name + ": expected pad, unk, bos, eos = 0, 1, 2, 3");
}

// The subwords that tell a target language, as in `<2de>`: control symbols, which come first.
std::map<std::string, int> tags_of(const sentencepiece::SentencePieceProcessor& subwords) {
  std::map<std::string, int> tags;
  for (int id = kSpecial; id < subwords.GetPieceSize() && subwords.IsControl(id); ++id) {
    const std::string& piece = subwords.IdToPiece(id);
    if (piece.size() < 4 || piece.rfind("<2", 0) != 0 || piece.back() != '>') break;
    tags[piece.substr(2, piece.size() - 3)] = id;
  }
  return tags;
}

// The same for equal codes: `pt_BR` is `pt-br`.
std::string folded(std::string code) {
  for (char& each : code) each = each == '_' ? '-' : each >= 'A' && each <= 'Z' ? static_cast<char>(each + 32) : each;
  return code;
}

std::vector<int> encode(const sentencepiece::SentencePieceProcessor& subwords, std::string_view text) {
  std::vector<int> ids;
  const auto status = subwords.Encode({text.data(), text.size()}, &ids);
  if (!status.ok()) throw std::runtime_error("SentencePiece: " + status.ToString());
  return ids;
}

bool is_letter_or_digit(char byte) {
  return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
         static_cast<unsigned char>(byte) >= 0x80;
}

}  // namespace

Translator::Translator(const char* path, const char* isa) {
  rnn_translate_file* file = nullptr;
  check(rnn_translate_file_open(path, &file));
  file_.reset(file);
  rnn_translate_model* model = nullptr;
  check(rnn_translate_file_network(file, isa, &model));
  model_.reset(model);
  const rnn_translate_section* search = find("search", RNN_TRANSLATE_OF_FLOAT64);
  require(search && search->rows == 1 && search->columns == sizeof search_ / sizeof(double),
          std::string(path) + ": expected a section `search` of 5 numbers");
  std::memcpy(&search_, search->data, sizeof search_);
  require(search_.beam_size >= 1 && search_.beam_size <= 1000 && search_.length_penalty >= 0 &&
              search_.length_penalty <= 100 && search_.max_length_factor > 0 && search_.max_length_factor <= 100 &&
              search_.max_length_extra >= 0 && search_.max_length_extra <= 10'000 && search_.longest >= 1 &&
              search_.longest <= 10'000,
          std::string(path) + ": search: settings that there cannot be");
  read_subwords(path);
  has_shortlist_ = read_shortlist(path);
}

bool Translator::read_shortlist(const std::string& path) const {
  const rnn_translate_section* first = find("shortlist.first", RNN_TRANSLATE_OF_INT64);
  const rnn_translate_section* candidates = find("shortlist.candidates", RNN_TRANSLATE_OF_INT32);
  const rnn_translate_section* frequent = find("shortlist.frequent", RNN_TRANSLATE_OF_INT32);
  if (!first || !candidates || !frequent) return false;
  const auto count = [](const rnn_translate_section* section) { return section->rows * section->columns; };
  const auto values = [](const rnn_translate_section* section) { return static_cast<const int32_t*>(section->data); };
  const rnn_translate_shortlist lists{count(first) - 1,   static_cast<const int64_t*>(first->data),
                                      values(candidates), count(candidates),
                                      values(frequent),   count(frequent)};
  if (rnn_translate_model_set_shortlist(model_.get(), &lists) != RNN_ENGINE_OK)
    throw InvalidArgument(path + ": " + rnn_engine_last_error());
  return true;
}

const rnn_translate_section* Translator::find(std::string_view name, int type) const {
  const rnn_translate_section* sections = nullptr;
  std::int64_t count = 0;
  check(rnn_translate_file_sections(file_.get(), &sections, &count));
  const auto* found = std::find_if(sections, sections + count, [&](const rnn_translate_section& each) {
    return each.name == name && each.type == type;
  });
  return found == sections + count ? nullptr : found;
}

void Translator::read_subwords(const std::string& path) {
  const auto* network = find("network", RNN_TRANSLATE_OF_INT64);  // of nine numbers, since there is a model of them
  const auto* numbers = static_cast<const std::int64_t*>(network->data);
  const rnn_translate_section *source = find("source.spm", RNN_TRANSLATE_OF_BYTES),
                              *target = find("target.spm", RNN_TRANSLATE_OF_BYTES);
  if (!source) source = target = find("joint.spm", RNN_TRANSLATE_OF_BYTES);
  require(source && target, path + ": expected source.spm and target.spm, or joint.spm");
  load(source_, *source, numbers[3], path);
  load(target_, *target, numbers[4], path);
  tags_ = tags_of(source_);
  forbidden_ = {kPad, kUnknown, kBos};
  for (const auto& [language, id] : tags_of(target_)) forbidden_.push_back(id);
  for (int id = 0; id < source_.GetPieceSize(); ++id) {
    const std::string_view piece = source_.IdToPiece(id), mark = "\u2581";
    const bool begins = piece.substr(0, mark.size()) == mark;
    const std::string_view letters = piece.substr(begins ? mark.size() : 0);
    begins_word_.push_back(begins);
    says_something_.push_back(id >= kSpecial && std::any_of(letters.begin(), letters.end(), is_letter_or_digit));
  }
}

// The subwords of a line, cut before words into as many pieces as the model takes; none if it can read nothing.
std::vector<Translator::Ids> Translator::pieces_of(std::string_view line) const {
  const Ids ids = encode(source_, line);
  if (std::none_of(ids.begin(), ids.end(), [&](int id) { return says_something_[static_cast<std::size_t>(id)]; }))
    return {};
  const auto longest = static_cast<std::ptrdiff_t>(search_.longest);
  std::vector<Ids> pieces;
  for (auto begin = ids.begin(); begin != ids.end();) {
    auto end = ids.end() - begin > longest ? begin + longest : ids.end();
    if (end != ids.end()) {
      auto word = end;
      while (word - begin > longest / 2 && !begins_word_[static_cast<std::size_t>(*word)]) --word;
      if (word - begin > longest / 2) end = word;
    }
    pieces.emplace_back(begin, end);
    begin = end;
  }
  return pieces;
}

Translator::Ids Translator::beginning_for(const char* language) const {
  if (tags_.empty()) {
    require(!language,
            "to: expected NULL, since the model knows one language only, got " + std::string(language ? language : ""));
    return {};
  }
  const auto found = language ? tags_.find(folded(language)) : tags_.end();
  if (found == tags_.end()) {
    std::string known;
    for (const auto& [code, id] : tags_) known += (known.empty() ? "" : ", ") + code;
    throw InvalidArgument("to: expected one of the languages that the model writes, " + known + "; got " +
                          (language ? language : "NULL"));
  }
  return {found->second};
}

rnn_translate_options Translator::options_of(const rnn_translate_text_options& wanted) const {
  rnn_translate_options options{};
  options.beam_size = wanted.beam_size ? wanted.beam_size : static_cast<std::int64_t>(search_.beam_size);
  options.n_best = 1;
  options.length_penalty = wanted.length_penalty < 0 ? search_.length_penalty : wanted.length_penalty;
  options.bos = kBos;
  options.eos = kEos;
  options.forbidden = forbidden_.data();
  options.forbidden_count = static_cast<std::int64_t>(forbidden_.size());
  options.batch_size = wanted.batch_size ? wanted.batch_size : kBatchSize;
  options.threads = wanted.threads ? wanted.threads : 1;
  options.shortlist = wanted.shortlist;
  require(options.shortlist == 0 || has_shortlist_,
          "shortlist: the file has none; `nmt export --shortlist` puts it in");
  return options;
}

std::vector<std::string> Translator::translate(const rnn_translate_text_options& wanted,
                                               const std::vector<std::string_view>& lines) const {
  const rnn_translate_options options = options_of(wanted);
  const Ids beginning = beginning_for(wanted.to);
  std::vector<std::string> plain;
  std::vector<std::vector<Ids>> pieces;
  std::vector<Ids> prefixes;
  for (const std::string_view line : lines) pieces.push_back(pieces_of(plain.emplace_back(plain_line(line))));
  for (std::size_t line = 0; line < lines.size(); ++line) {
    const char* prefix = wanted.prefixes ? wanted.prefixes[line] : nullptr;
    prefixes.push_back(prefix ? encode(target_, plain_line(prefix)) : Ids());
  }
  std::vector<rnn_translate_sentence> sentences;
  for (std::size_t line = 0; line < lines.size(); ++line)
    for (std::size_t i = 0; i < pieces[line].size(); ++i) {
      Ids& ids = pieces[line][i];
      const auto length = static_cast<std::int64_t>(ids.size());  // by which a translation is limited, without the tag
      ids.insert(ids.begin(), beginning.begin(), beginning.end());
      const auto given = i ? 0 : static_cast<std::int64_t>(prefixes[line].size());
      const double longest = std::floor(search_.max_length_factor * static_cast<double>(length));
      const auto usual = static_cast<std::int64_t>(longest),
                 extra = static_cast<std::int64_t>(search_.max_length_extra);
      sentences.push_back({ids.data(), static_cast<std::int64_t>(ids.size()), std::max(usual, given) + extra + 1,
                           prefixes[line].data(), given});
    }
  rnn_translate_results* results = nullptr;
  check(rnn_translate_search(model_.get(), &options, sentences.data(), static_cast<std::int64_t>(sentences.size()),
                             nullptr, nullptr, &results));
  const std::unique_ptr<rnn_translate_results, decltype(&rnn_translate_results_destroy)> owner(
      results, &rnn_translate_results_destroy);

  std::vector<std::string> translations;
  std::size_t sentence = 0;
  for (std::size_t line = 0; line < lines.size(); ++line) {
    std::string& joined = translations.emplace_back(pieces[line].empty() ? plain[line] : "");
    for (std::size_t i = 0; i < pieces[line].size(); ++i, ++sentence) {
      const std::int64_t best = results->first[sentence];
      if (best == results->first[sentence + 1]) continue;  // the search found nothing
      const rnn_translate_hypothesis& found = results->hypotheses[best];
      std::string text;
      const auto status = target_.Decode(Ids(found.tokens, found.tokens + found.length), &text);
      if (!status.ok()) throw std::runtime_error("SentencePiece: " + status.ToString());
      joined += (joined.empty() || text.empty() ? "" : " ") + plain_line(text);
    }
  }
  return translations;
}

}  // namespace rnn_engine::text
