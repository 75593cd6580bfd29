"""Damaged folders by the hundred: what commands say of them.

    PYTHONPATH=tests/unit:tests/integration python tests/integration/damaged_folders.py models 3000
    PYTHONPATH=tests/unit:tests/integration python tests/integration/damaged_folders.py training 400

Each case is a function of its number, so that one that fails can be looked at: `... models 3000 --only 17`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import damage
import damage_files
from attempts import Attempt, attempt, contents
from commands import forked, write_config

from nmt.model_folder.digests import write_digests

MODEL = Path(__file__).parents[1] / "data" / "model-v1"
STEPS = 9


class Bench:
    """Whole folders to take copies of.

    Args:
        folder: Where all of it happens; nothing outside of a case's own folder may change.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.model = folder / "whole-model"
        shutil.copytree(MODEL, self.model)
        row = {"kind": "test", "test": "x", "bleu": 1.0, "chrf": 2.0}
        (self.model / "scores.jsonl").write_text(json.dumps(row) + "\n")
        (folder / "text").mkdir()
        self.source, self.reference = folder / "text" / "a", folder / "text" / "b"
        self.source.write_text("red dog\n")
        self.reference.write_text("pe mi\n")
        self.config = write_config(folder / "training")
        assert forked("train", self.config).returncode == 0
        self.trained = folder / "training" / "model"
        shutil.copytree(self.trained, folder / "reference", symlinks=True)
        assert forked("train", self.config, *self.more(folder / "reference")).returncode == 0
        self.expected = (folder / "reference" / "model.safetensors").read_bytes()
        shutil.rmtree(folder / "reference")
        self.before = contents(folder)

    def more(self, folder: Path) -> list[str]:
        return ["--set", f"folder={folder}", "--set", f"training.max_steps={STEPS}"]

    def model_case(self, number: int) -> tuple[str, Attempt, str | None]:
        """A damaged model, a command, and what is wrong with what came of it."""
        generator = random.Random(number)
        case = self.folder / f"case-{number}"
        shutil.copytree(self.model, case)
        if generator.random() < 0.4:
            harm: Callable[..., None] = generator.choice(damage.BYTES + damage.CONTENT + damage.MAY_MEAN_SOMETHING)
            harm(case, generator)
            name, what = harm.__name__, ""
        elif generator.random() < 0.1:
            what = generator.choice(damage.FILES)  # of another model
            shutil.copyfile(self.trained / what, case / what)
            name = "of another model"
        else:
            what = generator.choice([*damage.FILES, *damage.FILES, "scores.jsonl"])
            kinds = (
                damage_files.ALL
                if not what.endswith((".spm", ".safetensors"))
                else (damage_files.BYTES + damage_files.KINDS)
            )
            harm = generator.choice(kinds)
            harm(case / what, generator)
            name = harm.__name__
        way = generator.choice(["as it was", "none", "renewed"])
        if way == "none":
            _remove(case / "SHA256SUMS")
        elif way == "renewed":  # by somebody who means it
            _renew_model(case)
        commands: list[tuple[str | Path, ...]] = [
            ("translate", case, "--threads", "1"),
            ("info", case),
            ("info", case, "--json"),
            ("score", case, self.source, self.reference, "--threads", "1"),
            ("evaluate", case, "--source", self.source, "--reference", self.reference, "--threads", "1"),
        ]
        done = attempt(*generator.choice(commands), folder=self.folder / "text", stdin=b"red dog\nold cat\n")
        problem = done.problem()
        told = way == "as it was" and what != "scores.jsonl" and _differs(case, self.model)
        if not problem and told and done.code == 0:
            problem = "a damaged model is used"
        shutil.rmtree(case)
        return f"{name} {what} (digests: {way})", done, problem or self.changed()

    def training_case(self, number: int) -> tuple[str, Attempt, str | None]:
        """Damaged prepared data or checkpoints, a command, and what is wrong with what came of it."""
        generator = random.Random(number)
        case = self.folder / f"case-{number}"
        shutil.copytree(self.trained, case, symlinks=True)
        paths = [path for path in sorted(case.rglob("*")) if path.is_file() and path.name != "report.txt"]
        whole = {path: path.read_bytes() for path in paths}
        path = generator.choice(paths + [path for path in paths if path.parent != case])
        is_text = path.suffix in (".json", ".jsonl", "", ".log")
        harm = generator.choice(damage_files.ALL if is_text else damage_files.BYTES + damage_files.KINDS)
        harm(path, generator)
        renewed = generator.random() < 0.35
        if renewed:
            _renew_training(case)
        command = generator.choice(["train", "train", "train", "prepare", "info", "average"])
        if command == "average":
            done = attempt("average", case, "--last", "1", "--output", case / "mean")
        elif command == "info":
            done = attempt("info", case)
        else:
            done = attempt(command, self.config, *self.more(case), folder=self.folder / "text")
        problem = done.problem()
        if not problem and command == "train" and done.code == 0 and not renewed:
            model = case / "model.safetensors"
            if not model.is_file() or model.read_bytes() != self.expected:
                problem = "another model is trained"
        if not problem and command == "prepare" and done.code == 0:
            ids = [path for path in paths if path.suffix in (".npy", ".spm")]
            if not renewed and any(not each.is_file() or each.read_bytes() != whole[each] for each in ids):
                problem = "other data is called prepared"
        what = path.relative_to(case)
        shutil.rmtree(case)
        return f"{command}: {harm.__name__} {what}{' (checksums renewed)' * renewed}", done, problem or self.changed()

    def changed(self) -> str | None:
        """Say what was changed outside of the folder of a case."""
        now = contents(self.folder)
        names = sorted(name for name in now.keys() | self.before.keys() if now.get(name) != self.before.get(name))
        return f"{names[0]} was changed" if names else None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _differs(case: Path, whole: Path) -> bool:
    """Whether a file that is loaded is not what it was."""
    for name in damage.FILES[:3]:
        path = case / name
        if not path.is_file() or path.is_symlink() or path.stat().st_size > 1 << 30:
            return True
        if path.read_bytes() != (whole / name).read_bytes():
            return True
    return False


def _plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 30


def _renew_model(case: Path) -> None:
    names = [name for name in ("joint.spm", "config.json", "model.safetensors") if _plain(case / name)]
    _remove(case / "SHA256SUMS")
    write_digests(case, {name: (case / name).read_bytes() for name in names})


def _renew_training(case: Path) -> None:
    """Write checksums anew that the damage broke, where there is something to write them into."""
    manifest = case / "data" / "prepared.json"
    try:
        content = json.loads(manifest.read_bytes()) if _plain(manifest) else None
        if isinstance(content, dict):
            content.pop("checksum", None)
            outputs = content.get("outputs", {})
            content["outputs"] = {name: _sum(case / name) for name in outputs if _plain(case / name)}
            content = {"checksum": _sum_of(content), **content}
            manifest.write_text(json.dumps(content))
        for state in case.glob("checkpoints/step_*/state.json"):
            held = json.loads(state.read_bytes()) if _plain(state) else None
            if isinstance(held, dict):
                sums = {
                    name: _sum(state.parent / name)
                    for name in ("model.safetensors", "optimizer.safetensors")
                    if _plain(state.parent / name)
                }
                sums["joint.spm"] = _sum(case / "joint.spm") if _plain(case / "joint.spm") else ""
                held["checksums"] = {**sums, "state.json": _sum_of(held.get("state"))}
                state.write_text(json.dumps(held))
    except (ValueError, RecursionError, AttributeError, TypeError):
        return


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sum_of(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["models", "training"])
    parser.add_argument("count", type=int)
    parser.add_argument("--only", type=int)
    parser.add_argument("--from", type=int, default=0, dest="first")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        run = bench.model_case if chosen.what == "models" else bench.training_case
        codes, bad, memory = Counter[int](), 0, 0
        for number in range(chosen.first, chosen.count) if chosen.only is None else [chosen.only]:
            case, done, problem = run(number)
            codes[done.code] += 1
            memory = max(memory, done.memory)
            if problem or chosen.only is not None:
                bad += problem is not None
                print(
                    f"{number}: {case}: {problem}\n    {' '.join(done.arguments)[:300]}\n{done.errors[-1500:]}",
                    flush=True,
                )
        print(f"{sum(codes.values())} cases, {bad} bad; exit codes {dict(codes)}; at most {memory / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
