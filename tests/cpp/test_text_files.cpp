// Files of text models: with a shortlist, with beginnings of translations, and damaged: test_text_files MODEL [COUNT
// [SEED]]. The model is that of tests/data; COUNT files are damaged, by accident and on purpose.
#include <fstream>
#include <iterator>

#include "damage.h"
#include "rnn_translate_text.h"

namespace {

const char* const kLines[] = {"red dog sees old cat", "...", "", "big cat has red sun"};
constexpr int kCount = 4;

class Text {
 public:
  explicit Text(const std::string& path) { code_ = rnn_translate_text_open(path.c_str(), nullptr, &text_); }
  Text(const Text&) = delete;
  ~Text() { rnn_translate_text_close(text_); }

  bool is_open() const { return code_ == 0; }
  // The translations of the lines; none after an error.
  std::vector<std::string> translate(std::int64_t shortlist = 0, const char* const* prefixes = nullptr,
                                     const char* const* lines = kLines, int count = kCount,
                                     const char* to = nullptr) const {
    const rnn_translate_text_options options{0, -1, 0, 0, shortlist, prefixes, to};
    char** found = nullptr;
    std::vector<std::string> all;
    if (rnn_translate_text_lines(text_, &options, lines, count, &found) == 0) all.assign(found, found + count);
    rnn_translate_text_free(found);
    return all;
  }

 private:
  rnn_translate_text* text_ = nullptr;
  int code_;
};

bool open_and_translate(const std::string& path) {
  const Text text(path);
  if (!text.is_open()) return false;
  text.translate();
  text.translate(2);
  return true;
}

// The file with lists of words: of every source subword one, and of the most frequent all, in an order.
Bytes with_shortlist(const std::string& path, std::int32_t most_frequent) {
  const auto file = translate::ModelFile::open(path);
  std::vector<rnn_translate_section> sections = file->sections();
  const auto* numbers = static_cast<const std::int64_t*>(file->find(kNetworkSection, RNN_TRANSLATE_OF_INT64)->data);
  const std::int64_t sources = numbers[3], targets = numbers[4];
  std::vector<std::int64_t> first(static_cast<std::size_t>(sources + 1));
  std::vector<std::int32_t> candidates(static_cast<std::size_t>(sources)), frequent(static_cast<std::size_t>(targets));
  for (std::size_t i = 0; i < first.size(); ++i) first[i] = static_cast<std::int64_t>(i);
  for (auto& each : candidates) each = most_frequent;
  for (std::size_t i = 0; i < frequent.size(); ++i)
    frequent[i] = static_cast<std::int32_t>((static_cast<std::int64_t>(i) + most_frequent) % targets);
  sections.push_back({"shortlist.first", RNN_TRANSLATE_OF_INT64, 1, sources + 1, first.data()});
  sections.push_back({"shortlist.candidates", RNN_TRANSLATE_OF_INT32, 1, sources, candidates.data()});
  sections.push_back({"shortlist.frequent", RNN_TRANSLATE_OF_INT32, 1, targets, frequent.data()});
  const std::vector<char> contents = translate::file_of(sections);
  return {contents.begin(), contents.end()};
}

void test_shortlist(Folder& folder, const char* model) {
  const std::string path = folder.file("listed");
  const std::vector<std::string> all = Text(model).translate();
  CHECK(Text(model).translate(5).empty() && std::strstr(rnn_engine_last_error(), "nmt export --shortlist"),
        "expected an error, got \"%s\"", rnn_engine_last_error());
  for (const std::int32_t word : {10, 20}) {
    write(path, with_shortlist(model, word));
    const Text text(path);
    CHECK(text.is_open(), "open: %s", rnn_engine_last_error());
    CHECK(text.translate() == all && text.translate(1000) == all, "a list of all words changes a translation");
    const std::vector<std::string> few = text.translate(1);
    CHECK(few.size() == kCount && few[0] != all[0] && few[1] == all[1] && few[2].empty(), "a shortlist of one word");
    CHECK(text.translate(-1).empty() && std::strstr(rnn_engine_last_error(), "shortlist: expected"), "got \"%s\"",
          rnn_engine_last_error());
  }
  Parts parts(with_shortlist(model, 7));
  std::memset(parts.data("shortlist.candidates"), 0xFF, 4);
  parts.digest(*parts.find("shortlist.candidates"));
  expect_damage(open_and_translate, path, parts.join(), "an id that is none");
  CHECK(std::strstr(rnn_engine_last_error(), "expected ids"), "got \"%s\"", rnn_engine_last_error());
}

void test_prefixes(const char* model) {
  const Text text(model);
  const std::vector<std::string> usual = text.translate();
  const char* const none[] = {"", nullptr, " ", "\xE2\x80\x8B"};
  CHECK(text.translate(0, none) == usual, "prefixes of nothing change a translation");
  const char* const begun[] = {"ka", "ka", "ka", " ka  \t ti"};
  const std::vector<std::string> found = text.translate(0, begun);
  CHECK(found.size() == kCount && found[0].rfind("ka", 0) == 0 && found[0] != usual[0], "got \"%s\"", found[0].c_str());
  CHECK(found[1] == usual[1] && found[2].empty(), "what is not translated has a prefix");
  CHECK(found[3].rfind("ka ti", 0) == 0, "got \"%s\"", found[3].c_str());

  std::string line, prefix;
  for (int i = 0; i < 300; ++i) line += "dog ", prefix += "ka ";
  const char *const lines[] = {line.c_str(), "cat"}, *const given[] = {"pe lo", prefix.c_str()};
  const std::vector<std::string> cut = text.translate(0, given, lines, 2), plain = text.translate(0, nullptr, lines, 2);
  CHECK(cut.size() == 2 && cut[0].rfind("pe lo", 0) == 0 && cut[0].find("pe lo", 1) == std::string::npos,
        "of a line that is cut, the first piece alone has the prefix");
  CHECK(cut[0].size() > 5 && cut[0].substr(cut[0].size() - 20) == plain[0].substr(plain[0].size() - 20),
        "other pieces are what they were");
  CHECK(cut[1].rfind("ka ka ka", 0) == 0 && cut[1].size() >= prefix.size() - 1, "a prefix longer than its line");
}

// A subword model whose first pieces that are text are tags of German and French: each record of a piece is a byte,
// its length and that many bytes, which here are less than 128.
std::vector<char> with_tags(const char* spm, std::size_t size) {
  const std::string records[] = {"<2de>", "<2fr>"};
  std::vector<char> tagged(spm, spm + size);
  std::size_t place = 0;
  for (int i = 0; i < 4; ++i) place += 2 + static_cast<std::size_t>(tagged[place + 1]);
  for (const std::string& piece : records) {
    const std::string record = "\x0A\x05" + piece + std::string("\x15\0\0\0\0\x18\x03", 7);  // score 0, control
    const auto begin = tagged.begin() + static_cast<std::ptrdiff_t>(place);
    tagged.erase(begin, begin + 2 + begin[1]);
    const std::string whole = std::string("\x0A") + static_cast<char>(record.size()) + record;
    tagged.insert(tagged.begin() + static_cast<std::ptrdiff_t>(place), whole.begin(), whole.end());
    place += whole.size();
  }
  return tagged;
}

void test_languages(Folder& folder, const char* model) {
  CHECK(Text(model).translate(0, nullptr, kLines, kCount, "de").empty() &&
            std::strstr(rnn_engine_last_error(), "to: expected NULL"),
        "got \"%s\"", rnn_engine_last_error());
  const auto file = translate::ModelFile::open(model);
  std::vector<rnn_translate_section> sections = file->sections();
  std::vector<char> tagged;
  for (rnn_translate_section& each : sections)
    if (std::strcmp(each.name, "joint.spm") == 0) {
      tagged = with_tags(static_cast<const char*>(each.data), static_cast<std::size_t>(each.columns));
      each.data = tagged.data();
      each.columns = static_cast<std::int64_t>(tagged.size());
    }
  CHECK(!tagged.empty(), "the model of the tests has a joint vocabulary");
  const std::vector<char> contents = translate::file_of(sections);
  const std::string path = folder.file("languages");
  write(path, {contents.begin(), contents.end()});
  const Text text(path);
  CHECK(text.is_open(), "open: %s", rnn_engine_last_error());
  const auto translated = [&](const char* to) { return text.translate(0, nullptr, kLines, kCount, to); };
  const char* const known = "to: expected one of the languages that the model writes, de, fr; got ";
  CHECK(translated(nullptr).empty() && rnn_engine_last_error() == known + std::string("NULL"), "got \"%s\"",
        rnn_engine_last_error());
  CHECK(translated("nl").empty() && rnn_engine_last_error() == known + std::string("nl"), "got \"%s\"",
        rnn_engine_last_error());
  const std::vector<std::string> german = translated("de"), french = translated("FR");
  CHECK(german.size() == kCount && french.size() == kCount && german[0] != french[0], "a tag changes nothing");
  CHECK(german == translated("DE") && french == translated("fr"), "capitals in a code change a translation");
  CHECK(german[1] == kLines[1] && german[2].empty(), "lines that nobody can read have no tag");
}

void test_damage(Folder& folder, const char* model, int count, unsigned seed) {
  const Bytes whole = with_shortlist(model, 5);
  Damage damage(folder, whole, seed, open_and_translate);
  for (int i = 0; i < count; ++i) i % 2 ? damage.by_accident() : damage.on_purpose();
  std::printf("%d damaged files of %zu bytes, %d of which are well\n", count, whole.size(), damage.opened());
  CHECK(count < 500 || damage.opened() > count / 100, "almost nothing that was crafted opens: the test is none");
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) return 2;
  Folder folder;
  test_shortlist(folder, arguments[1]);
  test_prefixes(arguments[1]);
  test_languages(folder, arguments[1]);
  test_damage(folder, arguments[1],
              count > 2    ? std::atoi(arguments[2])
              : SOME_ALONE ? 300
                           : 1000,
              count > 3 ? static_cast<unsigned>(std::atoi(arguments[3])) : 1);
  std::printf("%d failures\n", failures);
  return failures != 0;
}
