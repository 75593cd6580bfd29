"""Choose the settings that suit a training text: a preset by its size, and what its writing asks for.

Run as `python recipes/your-pair/choose.py DATA SOURCE TARGET`, where DATA holds train.src.gz and train.tgt.gz, and
SOURCE and TARGET are the languages, or `src` and `tgt` if nobody has said. With `--more` the model learns more.tgt.gz
as well, with what more.tsv has for its source. It prints the preset's path, then a setting (`section.key=value`) a
line, the languages among them; what it says to the user goes to stderr.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Final

from nmt.data.scripts import script_of
from nmt.data.subwords import SubwordError, train_subwords, training_share
from nmt.data.text import read_lines

PRESETS: Final = ((10_000, "5k"), (32_000, "20k"), (100_000, "50k"), (400_000, "200k"), (sys.maxsize, "1M"))
"""Each preset with the number of training pairs from which on the next one is taken."""
BOTH_WAYS: Final = {"5k": "5k-both"}
"""What takes the place of a preset where the languages share their letters: a model that translates either way, and
learns each direction from the other, too."""
MORE: Final = "more"
"""The preset for pairs beside text of the target language alone."""
LINES_A_PAIR: Final = 2.0
"""Lines of such text for each pair, at most, in an epoch: with more of them the pairs come more than once."""
COVERAGE: Final = 0.9995
SMALLEST: Final = 32
TINY: Final = 5_000
"""Below this many pairs an epoch has so few steps that more of them are needed; below half, half the subwords do."""
MOST_EPOCHS: Final = 400
SAMPLE: Final = 20_000
"""Lines on which a vocabulary is tried first: what fits so little text fits all of it."""


@dataclass(frozen=True)
class Side:
    """What a side of the text is written with."""

    lines: int
    characters: Counter[str]
    """How often each character occurs, blanks left out."""

    def covering(self, share: float) -> int:
        """How many different characters make up this share of the text."""
        total, found = self.characters.total(), 0
        for number, (_, count) in enumerate(self.characters.most_common(), start=1):
            found += count
            if found >= share * total:
                return number
        return 0

    def also_in(self, other: Side) -> float:
        """Share of this side's letters that the other side has too."""
        letters = {character: count for character, count in self.characters.items() if character.isalpha()}
        known = sum(count for character, count in letters.items() if character in other.characters)
        return known / max(sum(letters.values()), 1)


def preset_for(pairs: int, *, shared: bool) -> str:
    """Name the preset for this many training pairs, of languages that share their letters or do not."""
    name = next(name for limit, name in PRESETS if pairs < limit)
    return BOTH_WAYS.get(name, name) if shared else name


def share_letters(source: Side, target: Side) -> bool:
    """Whether one vocabulary serves both."""
    return min(source.also_in(target), target.also_in(source)) >= 0.5


def settings_for(source: Side, target: Side, vocabulary_size: int, epochs: int) -> dict[str, str]:
    """Choose what a preset cannot know.

    Args:
        source: The source text.
        target: The target text.
        vocabulary_size: The preset's.
        epochs: The preset's.

    Returns:
        Values by setting, in TOML; only those that differ from the preset.
    """
    chosen: dict[str, str] = {}
    if source.lines < TINY // 2:  # many a subword would be seen once
        vocabulary_size //= 2
        chosen["data.vocabulary_size"] = str(vocabulary_size)
    joint = share_letters(source, target)
    if not joint:
        chosen["data.joint_vocabulary"] = "false"
    sides = [Side(0, source.characters + target.characters)] if joint else [source, target]
    needed = max(len(side.characters) for side in sides)
    if needed > vocabulary_size // 4:  # scripts with many characters: the rare ones get no piece of their own
        chosen["data.character_coverage"] = str(COVERAGE)
        needed = max(side.covering(COVERAGE) for side in sides)
        if needed > vocabulary_size // 2:
            chosen["data.vocabulary_size"] = str(-(-2 * needed // 500) * 500)
    if source.lines < TINY:
        chosen["training.epochs"] = str(min(epochs * TINY // max(source.lines, 1), MOST_EPOCHS))
    return chosen


def seen_languages(files: Sequence[Path], languages: Sequence[str]) -> list[str]:
    """Put in those that nobody has named but their script gives away: Chinese, Japanese, Korean."""
    seen = []
    for file, name in zip(files, languages, strict=True):
        script = script_of(read_lines(file)) if name in ("src", "tgt") else name
        seen.append(script if script in ("ja", "ko", "zh") else name)
    return seen


def language_settings(source: str, target: str, corpora: Sequence[Mapping[str, object]]) -> dict[str, str]:
    """Say the languages: of the text, or of each of a preset's corpora, where they are `src` and `tgt`."""
    if not corpora:
        return {"data.source_language": source, "data.target_language": target}
    codes = {"src": source, "tgt": target}
    return {
        f"data.corpora.{number}.{key}": codes[str(corpus[key])]
        for number, corpus in enumerate(corpora)
        for key in ("source_language", "target_language")
    }


def read_side(path: Path) -> Side:
    """Count a file's lines and characters."""
    lines, characters = 0, Counter[str]()
    for line in read_lines(path):
        lines += 1
        characters.update(line)
    for blank in [character for character in characters if character.isspace()]:
        del characters[blank]
    return Side(lines, characters)


def fitting_vocabulary(texts: Sequence[Sequence[Path]], size: int, coverage: float) -> int:
    """Find the size that a text with few different words leaves of a vocabulary.

    Args:
        texts: The files of each vocabulary.
        size: The size wanted.
        coverage: Share of the characters that get a piece of their own.

    Returns:
        `size`, or the first of its successive nine tenths that each of the texts has pieces enough for.
    """
    while size > SMALLEST and not all(_fits(files, size, coverage) for files in texts):
        size = size * 9 // 10
    return size


def _fits(files: Sequence[Path], size: int, coverage: float) -> bool:
    for most in (SAMPLE, None):
        lengths = [len(line) for file in files for line in islice(read_lines(file), most)]
        lines = chain.from_iterable(islice(read_lines(file), most) for file in files)
        share = training_share(len(lengths), sum(lengths))
        try:
            train_subwords(lines, size, character_coverage=coverage, share=share)
        except SubwordError:
            continue
        return True
    return False


def main() -> None:
    """Choose for the folder that the command line names."""
    parser = argparse.ArgumentParser(description="Choose the settings that suit a training text.")
    parser.add_argument("data", type=Path, help="folder of the split text")
    parser.add_argument("languages", nargs=2, help="of source and target, or src and tgt")
    parser.add_argument("--more", action="store_true", help="learn more.tgt.gz, too")
    arguments = parser.parse_args()
    data = arguments.data
    files = [data / "train.src.gz", data / "train.tgt.gz"]
    more = [data / "more.tgt.gz"] if arguments.more else []
    source, target = map(read_side, files)
    pairs = source.lines
    name = MORE if more else preset_for(pairs, shared=share_letters(source, target))
    for added in map(read_side, more):
        target = Side(target.lines + added.lines, target.characters + added.characters)
        source = replace(source, lines=target.lines)
    path = Path(__file__).parent / "presets" / f"{name}.toml"
    preset = tomllib.loads(path.read_text(encoding="utf-8"))
    wanted, epochs = preset["data"]["vocabulary_size"], preset["training"]["epochs"]
    chosen = settings_for(source, target, wanted, epochs)
    if more:
        chosen["data.corpora.0.weight"] = f"{max((target.lines - pairs) / (LINES_A_PAIR * pairs), 1.0):.3g}"
    codes = seen_languages(files, arguments.languages)
    named = language_settings(codes[0], codes[1], preset["data"].get("corpora", ()))
    texts = [files[:1], [*files[1:], *more]] if "data.joint_vocabulary" in chosen else [[*files, *more]]
    size = int(chosen.get("data.vocabulary_size", wanted))
    fitting = fitting_vocabulary(texts, size, float(chosen.get("data.character_coverage", 1.0)))
    if fitting != size:
        chosen["data.vocabulary_size"] = str(fitting)
    print(path)
    for key, value in (named | chosen).items():
        print(f"{key}={value}")
    extra = ", ".join(f"{key} = {value}" for key, value in chosen.items())
    beside = f" and {target.lines - pairs:,} lines more" if more else ""
    print(f"choose: preset {name} for {pairs:,} pairs{beside}{f'; {extra}' if extra else ''}", file=sys.stderr)


if __name__ == "__main__":
    main()
