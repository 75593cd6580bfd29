#include "text/plain.h"

#include <algorithm>
#include <iterator>

namespace rnn_engine::text {
namespace {

struct Range {
  char32_t first, last;
};

constexpr Range kSpaces[] = {{0x9, 0xD},       {0x1C, 0x20},     {0x85, 0x85},     {0xA0, 0xA0},     {0x1680, 0x1680},
                             {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}};
// Control characters, and Unicode's default ignorable code points: format characters, fillers, variation selectors,
// tags; annotations.
constexpr Range kHidden[] = {
    {0x0, 0x8},         {0xE, 0x1B},        {0x7F, 0x84},       {0x86, 0x9F},       {0xAD, 0xAD},     {0x34F, 0x34F},
    {0x61C, 0x61C},     {0x115F, 0x1160},   {0x17B4, 0x17B5},   {0x180B, 0x180F},   {0x200B, 0x200F}, {0x202A, 0x202E},
    {0x2060, 0x206F},   {0x3164, 0x3164},   {0xFE00, 0xFE0F},   {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0}, {0xFFF0, 0xFFFB},
    {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF},
};
// What may say how the letters beside it are written, in these scripts.
constexpr Range kJoiners[] = {{0x180B, 0x180F}, {0x200C, 0x200D}};
constexpr Range kJoinedScripts[] = {{0x600, 0xDFF},   {0x1000, 0x109F}, {0x1780, 0x18AF}, {0x1B00, 0x1BFF},
                                    {0xA800, 0xABFF}, {0xFB50, 0xFDFF}, {0xFE70, 0xFEFC}, {0x10A00, 0x11FFF}};

template <std::size_t kCount>
bool is_in(const Range (&ranges)[kCount], char32_t letter) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [&](const Range& range) { return letter >= range.first && letter <= range.last; });
}

struct Letter {
  std::string_view bytes;
  char32_t value;  // of a byte that is no UTF-8: U+FFFD
};

Letter next_letter(std::string_view rest) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(rest[i]); };
  const std::size_t size = byte(0) < 0x80 ? 1 : byte(0) >= 0xF0 ? 4 : byte(0) >= 0xE0 ? 3 : byte(0) >= 0xC2 ? 2 : 0;
  if (size == 1) return {rest.substr(0, 1), byte(0)};
  if (size == 0 || size > rest.size()) return {rest.substr(0, 1), 0xFFFD};
  char32_t value = byte(0) & (0x7F >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {rest.substr(0, 1), 0xFFFD};
    value = value << 6 | (byte(i) & 0x3F);
  }
  return {rest.substr(0, size), value};
}

}  // namespace

std::string plain_line(std::string_view line) {
  std::string result;
  char32_t before = 0;      // the last letter of `result`
  bool space = false;       // whether there was one since
  std::string_view joiner;  // the first since
  while (!line.empty()) {
    const Letter letter = next_letter(line);
    line.remove_prefix(letter.bytes.size());
    if (is_in(kSpaces, letter.value)) {
      space = true;
    } else if (is_in(kHidden, letter.value)) {
      if (joiner.empty() && is_in(kJoiners, letter.value)) joiner = letter.bytes;
    } else {
      if (space && !result.empty()) result += ' ';
      if (!space && is_in(kJoinedScripts, before) && is_in(kJoinedScripts, letter.value)) result += joiner;
      result += letter.bytes;
      before = letter.value;
      space = false;
      joiner = {};
    }
  }
  return result;
}

}  // namespace rnn_engine::text
