"""Two text files in, a translation model out: `bash recipes/your-pair/run.sh corpus.de corpus.en`."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
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
    arguments = parser.parse_intermixed_args()
    files: list[Path] = [path.absolute() for path in arguments.corpus]
    if len(files) not in (1, 2):
        parser.error("expected two text files or one .tsv file (--help tells more)")
    for path in arguments.corpus:
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
    options = ["--accept-misaligned"] if arguments.accept_misaligned else []
    return Request(files, source or UNKNOWN[0], target or UNKNOWN[1], arguments.settings, options)


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


def main() -> None:
    """Do what the command line says, one stage after the other."""
    request = parse()
    corpus, source, target, given = request.corpus, request.source, request.target, request.settings
    name = plain_name(corpus[0]).partition(".")[0]
    folder = Path(steps.last_value(given, "folder", f"run/your-pair-{name}-{source}-{target}"))
    model = folder / "model"
    steps.start(FOLDER=str(folder))

    steps.say("1/5 splitting the corpus")
    steps.run("python", FOLDER / "split.py", folder / "data", *corpus, *request.split_options)

    steps.say("2/5 choosing settings")
    choose: list[str | Path] = ["python", FOLDER / "choose.py", folder / "data", source, target]
    preset, *settings = steps.run(*choose, capture=True).splitlines()
    settings += [*given, f"folder={model}"]  # the user's come last and win
    to = steps.last_value(settings, "data.corpora.0.target_language", "")  # of a model that translates either way
    back = steps.last_value(settings, "data.corpora.1.target_language", "")
    tests = [f"test:{back}-{to}", f"test:{to}-{back}"] if to else ["test"]

    steps.say("3/5 training (Ctrl-C stops; the same command goes on)")
    steps.train(preset, model, settings)

    steps.say("4/5 translating and scoring the test lines")
    output = steps.score(model, tests, settings)[tests[0]]

    steps.say("5/5 what this means")
    folder = steps.PROJECT / folder
    again = ["bash", str(steps.PROJECT / FOLDER / "run.sh"), *map(str, corpus)]
    again += ["--source-language", source, "--target-language", target, *request.split_options]
    again += steps.options_of(setting for setting in given if not setting.startswith("folder="))
    steps.run("python", FOLDER / "explain.py", folder, steps.PROJECT / output, *again)
    commands = next_commands(shutil.which("nmt") or "nmt", folder, again, to)
    print(NEXT.format(**{name: shlex.join(map(str, command)) for name, command in commands.items()}))
    if to:
        print(f"\nThe model translates the other way as well, to {back}: with --to {back} in place of --to {to}.")


def next_commands(nmt: str, folder: Path, again: Sequence[str], to: str = "") -> dict[str, Sequence[str | Path]]:
    """What can be done with a model, each as a command that runs as it stands; `to` is its `--to`, if it needs one."""
    model, text, output = folder / "model", folder / "data" / "test.src.gz", folder / "translation.txt"
    language = ["--to", to] if to else []
    return {
        "file": [nmt, "translate", model, *language, "--input", text, "--output", output],
        "typed": [nmt, "translate", model, *language],
        "info": [nmt, "info", model],
        "other": [*again, "--folder", folder.with_name(f"{folder.name}-2"), "--set", "model.dropout=0.3"],
    }


if __name__ == "__main__":
    main()
