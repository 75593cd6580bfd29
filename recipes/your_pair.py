"""Two text files in, a translation model out: `bash recipes/your-pair/run.sh corpus.de corpus.en`."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
from pathlib import Path

import steps

USAGE = """bash recipes/your-pair/run.sh SOURCE TARGET [OPTION]...
       bash recipes/your-pair/run.sh PAIRS.tsv [OPTION]..."""
NO_LANGUAGES = {"txt", "src", "tgt", "ref", "tsv", "csv"}
FOLDER = Path("recipes", "your-pair")
NEXT = """
What you can do now, in {project}:
  translate a file       {nmt} translate {folder}/model --input FILE --output TRANSLATION
  type sentences         {nmt} translate {folder}/model
  see what it is         {nmt} info {folder}/model
  train longer           {again} --folder {folder} --set training.epochs=N --minutes N
  other settings         {again} --folder {folder}-2 --set model.dropout=0.3"""


def parse() -> tuple[list[Path], str, str, list[str]]:
    """The command line: the corpus' files, its languages, the user's settings."""
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
        source, target = arguments.source_language or "src", arguments.target_language or "tgt"
    else:
        source = arguments.source_language or language_of(parser, arguments.corpus[0], "--source-language")
        target = arguments.target_language or language_of(parser, arguments.corpus[1], "--target-language")
        if source == target:
            parser.error(f"expected two languages, got {source} twice; give --source-language and --target-language")
    return files, source, target, arguments.settings


def plain_name(path: Path) -> str:
    """A file's name as it is unpacked."""
    return path.name.removesuffix(".gz")


def language_of(parser: argparse.ArgumentParser, path: Path, option: str) -> str:
    """What a file's name ends in."""
    suffix = Path(plain_name(path)).suffix.removeprefix(".")
    if suffix in NO_LANGUAGES or not re.fullmatch(r"[A-Za-z_-]{1,7}", suffix):
        parser.error(f"{path}: the name does not end in a language; give {option} CODE, such as de")
    return suffix


def main() -> None:
    """Do what the command line says, one stage after the other."""
    corpus, source, target, given = parse()
    name = plain_name(corpus[0]).partition(".")[0]
    folder = Path(steps.last_value(given, "folder", f"run/your-pair-{name}-{source}-{target}"))
    model = folder / "model"
    steps.start(FOLDER=str(folder))

    steps.say("1/5 splitting the corpus")
    steps.run("python", FOLDER / "split.py", folder / "data", *corpus)

    steps.say("2/5 choosing settings")
    preset, *chosen = steps.run("python", FOLDER / "choose.py", folder / "data", capture=True).splitlines()
    settings = [f"data.source_language={source}", f"data.target_language={target}", *chosen]
    settings += [*given, f"folder={model}"]  # the user's come last and win

    steps.say("3/5 training (Ctrl-C stops; the same command goes on)")
    steps.train(preset, model, settings)

    steps.say("4/5 translating and scoring the test lines")
    output = steps.score(model, ["test"], settings)["test"]

    steps.say("5/5 what this means")
    steps.run("python", FOLDER / "explain.py", folder, output)

    nmt = Path(shutil.which("nmt") or "nmt")
    again = ["bash", FOLDER / "run.sh", *corpus, "--source-language", source, "--target-language", target]
    words = {
        "project": steps.PROJECT,
        "nmt": nmt.relative_to(steps.PROJECT) if nmt.is_relative_to(steps.PROJECT) else nmt,
        "again": shlex.join(map(str, again)),
        "folder": shlex.quote(str(folder)),
    }
    print(NEXT.format(**words))


if __name__ == "__main__":
    main()
