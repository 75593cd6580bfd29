"""Train and score a model on one of the corpora in the table below, `CORPORA`.

Run as `bash recipes/run.sh CORPUS SOURCE TARGET [DATA_FOLDER] [OPTION]...`. A row says which files a corpus has; all
else is in the corpus' own folder: its settings in config.toml, where it comes from in README.md.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import tomllib
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from string import Template
from typing import Any

import steps

Lines = list[bytes]


@dataclass(frozen=True)
class Student:
    """How a model learns from others."""

    passes: float
    """Over its text, as a share of the config's `training.epochs`: a student's text is several times as long."""
    settings: tuple[str, ...] = ()
    """What else it has that the config has not."""


@dataclass(frozen=True)
class Corpus:
    """A row of the table. Files are called SPLIT.LANGUAGE.gz."""

    variable: str
    """What the config calls the folder of the files."""
    folders: Mapping[str, str]
    """The name of that folder by pair of languages, each of which goes in both directions."""
    several: Mapping[str, str] = field(default_factory=dict)
    """Languages that one model translates to, as in `en de,fr`, each with the config that says so."""
    splits: tuple[str, ...] = ("train", "valid", "test")
    """The files that must be there."""
    more_tests: tuple[str, ...] = ()
    """Test sets that the config does not name, and that some of the languages lack."""
    cells: tuple[str, ...] = ()
    """Choices of `--cell`, if it is an option; what it is without is in the config."""
    student: Student = Student(passes=1 / 4)
    """That of `--teachers`, which has twice as much text."""
    diversified: Student = Student(passes=1 / 5)
    """That of `--diversify`, which has four times as much."""
    text: str = ""
    """The folder of files that are made of those of the corpus; the config calls it TEXT."""
    derived: Mapping[str, tuple[str, Callable[[str, Lines], Lines]]] = field(default_factory=dict)
    """Those files: by split, of which one each is made, and how, given its language."""

    def folder(self, source: str, target: str) -> str | None:
        """The folder for two languages, or several; none if there is no such pair."""
        if f"{source} {target}" in self.several:
            return next(iter(self.folders.values()))
        return self.folders.get(f"{source} {target}") or self.folders.get(f"{target} {source}")


def joined_japanese(language: str, lines: Lines) -> Lines:
    """Japanese as it is written, without blanks."""
    return [line.replace(b" ", b"") for line in lines] if language == "ja" else lines


CORPORA = {
    "multi30k": Corpus(
        "MULTI30K",
        dict.fromkeys(("en de", "en fr", "en cs", "de fr", "de cs", "fr cs"), "multi30k"),
        splits=("train", "valid", "test_2016_flickr"),
        more_tests=("test_2016_flickr", "test_2017_flickr"),  # Czech has no translation of the second
        cells=("lstm", "mi_lstm", "layer_norm_lstm", "layer_norm_mi_lstm"),
        several={"en de,fr,cs": "multilingual.toml"},
        student=Student(passes=1 / 4, settings=("model.dropout=0.35",)),
        diversified=Student(passes=0.18, settings=("model.dropout=0.35",)),
    ),
    "tatoeba": Corpus("TATOEBA", {"de en": "tatoeba-deen", "fr en": "tatoeba-fren"}),
    "small-enja": Corpus(
        "ENJA",
        {"en ja": "small-enja"},
        text="run/small-enja-data",
        derived={split: (split, joined_japanese) for split in ("train", "valid", "test")},
    ),
    "iwslt15-envi": Corpus(
        "IWSLT15",
        {"en vi": "iwslt15-envi"},
        splits=("train", "valid"),
        text="run/iwslt15-data",
        derived={  # there is no third set: the end of the training text becomes the validation set
            "train": ("train", lambda _, lines: lines[:-1000]),
            "valid": ("train", lambda _, lines: lines[-1000:]),
        },
    ),
    "canlaws": Corpus("CANLAWS", {"en fr": "canlaws-enfr"}),
}

GOING_ON = "training.learning_rate=1e-3"
"""What a student has that begins as the first of its teachers: less than the config's, for it has learned already."""

USAGE = "bash recipes/run.sh CORPUS SOURCE TARGET [DATA_FOLDER] [OPTION]..."


def find_data(name: str, given: str, files: list[str]) -> Path:
    """The folder that holds all files: the given one, or `name` in it."""
    for folder in (Path(given, name), Path(given)):
        if given and all((folder / file).is_file() for file in files):
            return folder.resolve()
    steps.fail(
        f"no corpus in '{given or 'DATA_FOLDER or $NMT_DATA'}': expected {name}/ with {' '.join(files)} "
        "(its README.md says where to get it)"
    )


def derive(corpus: Corpus, data: Path, languages: Sequence[str]) -> None:
    """Make the files of `corpus.text` that are older than what they are made of; each appears whole."""
    for split, (origin, change) in corpus.derived.items():
        for language in languages:
            source, output = data / f"{origin}.{language}.gz", Path(corpus.text, f"{split}.{language}.gz")
            if steps.newer(output, source):
                continue
            part = output.with_suffix(f".{os.getpid()}.tmp")
            try:
                lines = gzip.decompress(source.read_bytes()).splitlines(keepends=True)
                output.parent.mkdir(parents=True, exist_ok=True)
                part.write_bytes(gzip.compress(b"".join(change(language, lines)), 6, mtime=0))
                part.replace(output)
            except (OSError, EOFError, zlib.error) as error:
                steps.fail(f"{source}: could not be read, or {output} not written: {error}")


def parse() -> argparse.Namespace:
    """Read the command line; `folder` is what follows from it."""
    rows = "\n".join(
        f"  {name:<14}{', '.join(corpus.folders)}, or the other way round" for name, corpus in CORPORA.items()
    )
    parser = steps.option_parser(USAGE, f"Train and score a model. The corpora and their languages:\n{rows}")
    parser.add_argument("corpus", metavar="CORPUS", choices=CORPORA, help="one of the above; recipes/CORPUS tells more")
    parser.add_argument("source", metavar="SOURCE", help="language to translate from")
    parser.add_argument("target", metavar="TARGET", help="language to translate to")
    parser.add_argument(
        "data",
        metavar="DATA_FOLDER",
        nargs="?",
        default=os.environ.get("NMT_DATA", ""),
        help="holds the corpus' folder, or is it; $NMT_DATA if not given",
    )
    cells = ", ".join(dict.fromkeys(cell for corpus in CORPORA.values() for cell in corpus.cells))
    parser.add_argument("--cell", help=f"recurrent cell, for multi30k, if not its config's: {cells}")
    parser.add_argument(
        "--teachers",
        type=int,
        default=0,
        metavar="N",
        help="train N models first (of each direction), and then one on what they translate together, too: N times as "
        "long, and more",
    )
    parser.add_argument(
        "--diversify",
        action="store_true",
        help="train a model first, and one of the opposite direction, and then one on what both make of the text, too",
    )
    arguments = parser.parse_intermixed_args()
    if arguments.teachers < 0:
        parser.error(f"--teachers: expected 0 or more, got {arguments.teachers}")
    corpus, source, target = CORPORA[arguments.corpus], arguments.source, arguments.target
    arguments.folder = corpus.folder(source, target)
    if arguments.folder is None:
        pairs = ", ".join(
            [*(f"{pair}, {' '.join(reversed(pair.split()))}" for pair in corpus.folders), *corpus.several]
        )
        parser.error(f"languages: expected {pairs}, got {source} {target}")
    if arguments.diversify and "," in target:
        parser.error(f"--diversify: expected one language to translate to, got {target}")
    if arguments.cell is not None and arguments.cell not in corpus.cells:
        parser.error(f"--cell: expected {', '.join(corpus.cells) or 'none for this corpus'}, got {arguments.cell}")
    return arguments


def main() -> None:
    """Do what the command line says."""
    arguments = parse()
    corpus, source, target = CORPORA[arguments.corpus], arguments.source, arguments.target
    languages = [source, *target.split(",")]
    files = [f"{split}.{language}.gz" for split in corpus.splits for language in languages]
    data = find_data(arguments.folder, arguments.data, files)

    config = Path("recipes", arguments.corpus, corpus.several.get(f"{source} {target}", "config.toml"))
    chosen = tomllib.loads((steps.PROJECT / config).read_text(encoding="utf-8"))
    cell = arguments.cell or chosen["model"].get("cell", "")
    names = {corpus.variable: str(data), "SOURCE": source, "TARGET": target, "TEXT": corpus.text, "CELL": cell}
    steps.start(**names)
    derive(corpus, data, languages)
    common = [f"model.cell={cell}"] if cell else []
    common += arguments.settings  # the user's come last and win
    if len(languages) == 2:
        settings = [*direction(source, target), *common]
        tests = list(chosen["data"].get("test", {}))
        for test in corpus.more_tests:
            paths = [data / f"{test}.{language}.gz" for language in languages]
            if all(path.is_file() for path in paths):
                tests.append(test)
                settings.insert(0, f"data.test.{test}=['{paths[0]}', '{paths[1]}']")
    else:
        settings = common
        tests = [
            f"{test}:{each['source_language']}-{each['target_language']}"
            for each in chosen["data"]["corpora"]
            for test in each.get("test", {})
        ]
    model = Path(steps.last_value(settings, "folder", Template(chosen["folder"]).substitute(names)))
    settings = [*settings, f"folder={model}"]
    if len(languages) > 2 and arguments.teachers:
        teachers = teachers_of_each(source, languages[1:], arguments.teachers, config, model, common)
        steps.distill(config, model, [epochs_of(1 / 2, chosen), *settings], teachers)
    elif arguments.diversify or arguments.teachers:
        student = corpus.diversified if arguments.diversify else corpus.student
        own = [epochs_of(student.passes, chosen), GOING_ON, *student.settings]
        if arguments.diversify:
            train = [Template(file).substitute(names) for file in chosen["data"]["train"]]
            opposite = [*direction(target, source), *common]
            os.environ.update(SOURCE=target, TARGET=source)
            pairs = steps.translate_back(config, model / "opposite", opposite, train[1])
            os.environ.update(SOURCE=source, TARGET=target)
            own.append(f"data.train={json.dumps([train, str(pairs)])}")
        folders = [model / f"teacher-{number}" for number in range(1, (arguments.teachers or 1) + 1)]
        steps.train_seeds(config, folders, settings)
        steps.distill(config, model, [*own, *settings], folders, folders[0])
    else:
        steps.train(config, model, settings)
    steps.score(model, tests, settings)


def teachers_of_each(
    source: str, targets: Sequence[str], number: int, config: Path, model: Path, settings: Sequence[str]
) -> list[Path]:
    """Train the teachers of a student that translates to several languages: some for each, in its folder."""
    settings = [each for each in settings if not each.startswith("data.corpora.")]
    several, folders = os.environ["TARGET"], []
    for target in targets:
        folders.append([model / f"teacher-{target}-{seed}" for seed in range(1, number + 1)])
        os.environ["TARGET"] = target
        steps.train_seeds(config.with_name("config.toml"), folders[-1], [*direction(source, target), *settings])
    os.environ["TARGET"] = several
    return [*chain.from_iterable(folders)]


def epochs_of(passes: float, config: Mapping[str, Any]) -> str:
    """The setting of a student's epochs, of which there is one at least."""
    return f"training.epochs={max(1, int(passes * config['training']['epochs']))}"


def direction(source: str, target: str) -> list[str]:
    """The settings that name the languages of a model."""
    return [f"data.source_language={source}", f"data.target_language={target}"]


if __name__ == "__main__":
    main()
