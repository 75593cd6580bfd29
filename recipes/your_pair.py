"""Two text files in, a translation model out: `bash recipes/your-pair/run.sh corpus.de corpus.en`."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count, product
from pathlib import Path

import steps

USAGE = """bash recipes/your-pair/run.sh SOURCE TARGET [OPTION]...
       bash recipes/your-pair/run.sh PAIRS.tsv [OPTION]..."""
KINDS = {"gz", "txt", "text", "tsv", "csv", "tok", "raw", "utf8"}
"""What follows the language in a name and says how the file is written, as in `mail.fr.txt.gz`."""
NO_LANGUAGES = {"src", "tgt", "ref", "source", "target", "train", "test", "valid", "dev", "all", "new", "old"}
LANGUAGE = "[A-Za-z]{2,3}(?:[-_][A-Za-z]{2,4})?"
"""A code, with its script or region or without: `de`, `deu`, `pt_BR`, `zh-Hans`."""
UNKNOWN = ("src", "tgt")
FOLDER = Path("recipes", "your-pair")
BACKTRANSLATION = ("--tag", "◊", "--beam-size", "1", "--precision", "int8")
NEXT = """
What you can do now
  translate a file, here the test lines
      {file}
  type sentences
      {typed}
  see what the model is
      {info}
  train another with other settings
      {other}"""


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    corpus: list[Path]
    source: str
    target: str
    settings: list[str]
    split_options: list[str]
    more: list[Path]
    """Text of the target language alone."""


def parse() -> Request:
    """Read the command line."""
    parser = steps.option_parser(USAGE, "Train a model on text of your own.")
    parser.add_argument(
        "corpus",
        metavar="FILE",
        nargs="*",
        type=Path,
        help="text and its translation, line by line, plain or .gz, UTF-8; or one .tsv file with a tab between the two",
    )
    parser.add_argument("--source-language", metavar="CODE", help="if the names do not say it (corpus.de.gz: de)")
    parser.add_argument("--target-language", metavar="CODE")
    parser.add_argument(
        "--accept-misaligned", action="store_true", help="train even if the two sides do not look like translations"
    )
    parser.add_argument(
        "--target-text",
        metavar="FILE",
        action="append",
        default=[],
        type=Path,
        help="more text in the target language alone, a sentence a line; may be given many times",
    )
    arguments = parser.parse_intermixed_args()
    files: list[Path] = [path.absolute() for path in arguments.corpus]
    if len(files) not in (1, 2):
        parser.error("expected two text files or one .tsv file (--help tells more)")
    for path in (*arguments.corpus, *arguments.target_text):
        if not path.is_file():
            parser.error(f"{path}: no such file")
    if len(files) == 1:
        if not plain_name(files[0]).endswith(".tsv"):
            parser.error(f"{arguments.corpus[0]}: expected a second file, or one that ends in .tsv or .tsv.gz")
        named = languages_of(files[0])
    else:
        named = language_of(files[0]), language_of(files[1])
    source, target = arguments.source_language or named[0], arguments.target_language or named[1]
    if len(files) == 2:
        for path, language, side in zip(arguments.corpus, (source, target), ("source", "target"), strict=True):
            if not language:
                parser.error(f"{path}: the name does not end in a language; give --{side}-language CODE, such as de")
        if source == target:
            parser.error(f"expected two languages, got {source} twice; give --source-language and --target-language")
    more = [path.absolute() for path in arguments.target_text]
    options = ["--accept-misaligned"] if arguments.accept_misaligned else []
    return Request(files, source or UNKNOWN[0], target or UNKNOWN[1], arguments.settings, options, more)


def plain_name(path: Path) -> str:
    """A file's name as it is unpacked."""
    return path.name.removesuffix(".gz")


def name_parts(path: Path) -> list[str]:
    """The parts of a file's name between its dots, without those at its end that say how it is written."""
    parts = path.name.split(".")
    while parts and parts[-1].lower() in KINDS:
        parts.pop()
    return parts


def language_of(path: Path) -> str:
    """What a file's name ends in, if that may be a language: `corpus.de`, `mail.fr.txt`, `news_cs.txt.gz`, `en.txt`."""
    parts = name_parts(path)
    patterns = [f"({LANGUAGE})"] * (len(parts) > 1) + ["(?:.*[-_])?([A-Za-z]{2})"]
    found = next(filter(None, (re.fullmatch(pattern, part) for part in parts[-1:] for pattern in patterns)), None)
    return found[1] if found and found[1].lower() not in NO_LANGUAGES else ""


def languages_of(path: Path) -> tuple[str, str]:
    """The languages that a TSV file's name ends in, if it does: `pairs.de-en.tsv`, `fra-eng.tsv`, `news_de_en.tsv`."""
    found = re.fullmatch("(?:.*[-_])?([a-z]{2,3})[-_]([a-z]{2,3})", (name_parts(path) or [""])[-1])
    return (found[1], found[2]) if found else ("", "")


class Stages:
    """Tells the user which stage of how many begins."""

    def __init__(self, count: int) -> None:
        self.count, self.begun = count, 0

    def begin(self, text: str) -> None:
        """Say that the next one does."""
        self.begun += 1
        steps.say(f"{self.begun}/{self.count} {text}")


@dataclass(frozen=True)
class Trained:
    """A model that is trained."""

    folder: Path
    """Of its text and the model, in `data` and `model`."""
    settings: list[str]

    @property
    def model(self) -> Path:
        """The model folder."""
        return self.folder / "model"

    @property
    def ways(self) -> list[tuple[str, str]]:
        """Source and target language of each direction, of a model that was told them by corpora."""
        found = []
        for number in count():
            both = [
                steps.last_value(self.settings, f"data.corpora.{number}.{side}_language", "")
                for side in ("source", "target")
            ]
            if not all(both):
                break
            found.append((both[0], both[1]))
        return list(dict.fromkeys(found))

    @property
    def to(self) -> list[str]:
        """The option that asks for the first direction, if the model has several."""
        return ["--to", self.ways[0][1]] if len(self.ways) > 1 else []


def main() -> None:
    """Do what the command line says, one stage after the other."""
    request = parse()
    name = plain_name(request.corpus[0]).partition(".")[0]
    default = f"run/your-pair-{name}-{request.source}-{request.target}"
    folder = Path(steps.last_value(request.settings, "folder", default))
    stages = Stages(9 if request.more else 5)
    steps.start()
    steps.check(request.settings)

    stages.begin("splitting the corpus")
    steps.run("python", FOLDER / "split.py", folder / "data", *request.corpus, *request.split_options)
    if request.more:
        add_more(request, folder, stages)
    trained = train(folder, request.source, request.target, request, stages, *(["--more"] if request.more else []))

    stages.begin("translating and scoring the test lines")
    tests = [f"test:{source}-{target}" for source, target in trained.ways] or ["test"]
    output = steps.score(trained.model, tests, trained.settings)[tests[0]]

    stages.begin("what this means")
    folder = steps.PROJECT / folder
    again = ["bash", str(steps.PROJECT / FOLDER / "run.sh"), *map(str, request.corpus)]
    again += ["--source-language", request.source, "--target-language", request.target, *request.split_options]
    again += [part for path in request.more for part in ("--target-text", str(path))]
    again += steps.options_of(setting for setting in request.settings if not setting.startswith("folder="))
    steps.run("python", FOLDER / "explain.py", folder, steps.PROJECT / output, *again)
    commands = next_commands(shutil.which("nmt") or "nmt", folder, again, trained.to)
    print(NEXT.format(**{name: shlex.join(map(str, command)) for name, command in commands.items()}))
    if trained.to:
        to, back = (target for _, target in trained.ways)
        print(f"\nThe model translates the other way as well, to {back}: with --to {back} in place of --to {to}.")


def train(folder: Path, source: str, target: str, request: Request, stages: Stages, *options: str) -> Trained:
    """Choose settings for the text in a folder, and train."""
    stages.begin("choosing settings")
    os.environ["FOLDER"] = str(folder)  # what the presets' paths refer to
    choose: list[str | Path] = ["python", FOLDER / "choose.py", folder / "data", source, target, *options]
    preset, *settings = steps.run(*choose, capture=True).splitlines()
    settings += [*request.settings, f"folder={folder / 'model'}"]  # the user's come last and win
    trained = Trained(folder, settings)
    stages.begin("training (Ctrl-C stops; the same command goes on)")
    steps.train(preset, trained.model, trained.settings)
    return trained


def add_more(request: Request, folder: Path, stages: Stages) -> None:
    """Make pairs of text of the target language: it is translated by a model of the opposite direction."""
    stages.begin("taking in the text of the target language")
    data, back = folder / "data", folder / "back"
    steps.run("python", FOLDER / "more_text.py", data, *request.more)
    (back / "data").mkdir(parents=True, exist_ok=True)
    for split, (side, other) in product(("train", "valid", "test"), (("src", "tgt"), ("tgt", "src"))):
        link = back / "data" / f"{split}.{side}.gz"
        link.unlink(missing_ok=True)
        link.symlink_to(Path("..", "..", "data", f"{split}.{other}.gz"))
    steps.say("a model of the opposite direction comes first: it translates that text")
    trained = train(back, request.target, request.source, request, stages)
    stages.begin("translating the text of the target language")
    threads = steps.last_value(trained.settings, "training.threads", "")
    options = [*trained.to, *BACKTRANSLATION, *(["--threads", threads] if threads else [])]
    text, pairs = data / "more.tgt.gz", data / "more.tsv"
    steps.run("nmt", "backtranslate", trained.model, "--input", text, "--output", pairs, *options)


def next_commands(
    nmt: str, folder: Path, again: Sequence[str], to: Sequence[str] = ()
) -> dict[str, Sequence[str | Path]]:
    """What can be done with a model, each as a command that runs as it stands; `to` is its `--to`, if it needs one."""
    model, text, output = folder / "model", folder / "data" / "test.src.gz", folder / "translation.txt"
    return {
        "file": [nmt, "translate", model, *to, "--input", text, "--output", output],
        "typed": [nmt, "translate", model, *to],
        "info": [nmt, "info", model],
        "other": [*again, "--folder", folder.with_name(f"{folder.name}-2"), "--set", "model.dropout=0.3"],
    }


if __name__ == "__main__":
    main()
