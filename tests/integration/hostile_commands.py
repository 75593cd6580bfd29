"""Command lines and settings that nobody means well with: what the commands say of them.

    PYTHONPATH=tests/integration python tests/integration/hostile_commands.py 1000

Each case is a function of its number; `--only N` shows what one says.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from attempts import Attempt, attempt, contents
from commands import forked, write_config

from nmt.config_keys import describe

MODEL = Path(__file__).parents[1] / "data" / "model-v1"
TEXTS = (
    "",
    " ",
    "\n",
    "a\nnmt: error: another line",
    "\x1b[2J\x1b]0;title\x07",
    "x" * 100_000,
    "日本語\u202e\u200d",
    "\udcff\udc80",
    "%s%n{0}${HOME}$(id)",
    "-",
    "--",
    "--help",
    "=",
    "[[[[",
    "[" * 20_000,
    "{a=1}",
    "'",
    '"\\u0000"',
    "..",
)
NUMBERS = (
    *("0", "-1", "1", "2", "1e308", "-1e308", "nan", "inf", "-inf", "1e-320", "0x10", "1_0", "٣"),
    *("9" * 30, "9" * 5000, "1" + "0" * 400, "2147483648", "9223372036854775808", "0.5", "1e400", "true", "none"),
)
COMMANDS = {
    "translate": ("MODEL", ["--input", "--output", "--format", "--n-best", "--plot", "--beam-size", "--length-penalty",
                            "--batch-size", "--threads", "--device", "--status", "--scores", "--alignments",
                            "--retry"]),
    "evaluate": ("MODEL", ["--test", "--source", "--reference", "--output", "--beam-size", "--length-penalty",
                           "--batch-size", "--threads", "--device"]),
    "score": ("MODEL FILE FILE", ["--format", "--normalize", "--threads", "--device"]),
    "compare": ("MODEL MODEL", ["--test", "--source", "--reference", "--html", "--language", "--beam-size",
                                "--length-penalty", "--batch-size", "--threads", "--device"]),
    "info": ("MODEL", ["--json"]),
    "average": ("MODEL", ["--output", "--last", "--steps"]),
    "prepare": ("CONFIG", ["--set"]),
    "train": ("CONFIG", ["--set", "--device"]),
    "config": ("", []),
}  # fmt: skip
FLAGS = {"--status", "--scores", "--alignments", "--retry", "--normalize", "--json"}
WRITES = {"--output", "--plot", "--html"}
COUNTS = {"--n-best", "--beam-size", "--length-penalty", "--batch-size", "--threads", "--last", "--steps"}


class Bench:
    """Things to name in a command line, in a folder of which nothing may change but what a command is to write.

    Args:
        folder: Where all of it happens.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = Path(shutil.copytree(MODEL, folder / "model"))
        self.config = write_config(folder / "training", max_steps=2, validate_every=2)
        assert forked("train", self.config).returncode == 0
        self.text = folder / "text"
        self.text.write_text("red dog\nold cat\n")
        (folder / "empty").mkdir()
        (folder / "settings.toml").write_bytes(b"\xff\xfe")
        os.mkfifo(folder / "pipe")
        self.keys = [setting.key for setting in describe()]
        self.before = contents(folder, without=folder / "out")

    def path(self, generator: random.Random) -> str:
        """Something that is seldom the file that is asked for."""
        places = ["/dev/zero", "/dev/null", "/dev/full", "/dev/random", "/", "/proc/self/mem", "/nowhere/x", "pipe"]
        places += ["empty", "settings.toml", "text", "model", "model/model.safetensors", "training/model", "training"]
        return generator.choice([*places, *places, *TEXTS])

    def target(self, generator: random.Random) -> str:
        """Where to write: in a folder of its own, or nowhere."""
        names = ["x", "x.gz", "x.zst", "x.png", "x.svg", "a/b/c", "x" * 300, "\x1b[2J.png", "\n", "日本.svg", " "]
        return generator.choice([*(f"out/{name}" for name in names), "/dev/full", "/dev/null", "/nowhere/x", "/proc/x"])

    def value(self, option: str, generator: random.Random) -> str:
        """A value of an option."""
        if option in COUNTS:
            return generator.choice(NUMBERS + TEXTS)
        if option in WRITES:
            return self.target(generator)
        if option == "--set":
            key = generator.choice(
                [*self.keys, *self.keys, "data.test.x", "model", "", "a.b.c", "x\x1b[2J", "data.train.0"]
            )
            if key.startswith("folder"):
                return f"folder={self.target(generator)}"
            return f"{key}={generator.choice([*NUMBERS, *TEXTS, *(self.path(generator) for _ in range(9))])}"
        if option in ("--device", "--format", "--test", "--language"):
            return generator.choice([*TEXTS, "cpu", "cuda", "cuda:9", "json", "tsv", "text", "x", "de", "ja"])
        return self.path(generator)

    def arguments(self, generator: random.Random) -> list[str]:
        """A command line."""
        command = generator.choice([*COMMANDS, *COMMANDS, "nonsense", "--version", generator.choice(TEXTS)])
        kinds, options = COMMANDS.get(command, ("FILE", ["--set"]))
        words = [command]
        whole = {"MODEL": "model", "FILE": "text", "CONFIG": "training/config.toml"}
        for kind in kinds.split():
            words.append(whole[kind] if generator.random() < 0.8 else self.path(generator))
        if command == "average":
            words[1] = "training/model"
        if command in ("translate", "evaluate", "score", "compare"):
            words += ["--threads", "1"]
        if command in ("evaluate", "compare"):
            words += ["--source", "text", "--reference", "text"]
        for option in generator.sample(options, min(len(options), generator.choice([0, 1, 1, 2, 3]))):
            words.append(option)
            if option not in FLAGS:
                words.append(self.value(option, generator))
        if command in ("train", "prepare"):  # ends after a step, in a folder of its own
            words += ["--set", "folder=out/model"] * (not any("folder=" in word for word in words))
            words += ["--set", "training.max_steps=1"] * (command == "train")
        if generator.random() < 0.1:
            words.insert(generator.randrange(len(words) + 1), generator.choice(TEXTS))
        return [word.replace("\0", "") for word in words]

    def case(self, number: int) -> tuple[Attempt, str | None]:
        """A command line, and what is wrong with what came of it."""
        words = self.arguments(random.Random(number))
        done = attempt(*words, folder=self.folder, stdin=b"red dog\n")
        shutil.rmtree(self.folder / "out", ignore_errors=True)
        problem = done.problem()
        if (
            problem == "hangs" and "pipe" in words
        ):  # that is what reading a pipe does, until somebody opens its other end
            problem = None
        return done, problem or self.changed()

    def changed(self) -> str | None:
        """Say what was changed that no command was to write."""
        now = contents(self.folder, without=self.folder / "out")
        names = sorted(name for name in now.keys() | self.before.keys() if now.get(name) != self.before.get(name))
        names = [name for name in names if not name.endswith(("/scores.jsonl", "/README.md", "/.lock", "/out"))]
        return f"{names[0]} was changed" if names else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--only", type=int)
    parser.add_argument("--from", type=int, default=0, dest="first")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        codes, bad, memory = Counter[int](), 0, 0
        for number in range(chosen.first, chosen.count) if chosen.only is None else [chosen.only]:
            done, problem = bench.case(number)
            codes[done.code] += 1
            memory = max(memory, done.memory)
            if problem or chosen.only is not None:
                bad += problem is not None
                words = " ".join(repr(word[:100]) for word in done.arguments)
                print(f"{number}: {problem}\n    {words}\n{done.errors[-1500:]}", file=sys.stdout, flush=True)
        print(f"{sum(codes.values())} cases, {bad} bad; exit codes {dict(codes)}; at most {memory / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
