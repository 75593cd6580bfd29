"""A little language made for the tests: English sentences by a grammar, and their German-like translations."""

import random
from pathlib import Path

from nmt.config import Config

NOUNS = {
    "dog": "der Hund",
    "cat": "die Katze",
    "child": "das Kind",
    "man": "der Mann",
    "woman": "die Frau",
    "horse": "das Pferd",
    "bird": "der Vogel",
    "girl": "das Mädchen",
}
VERBS = {"sees": "sieht", "hears": "hört", "follows": "begleitet", "finds": "findet", "calls": "ruft"}
ADJECTIVES = {"small": "kleine", "old": "alte", "young": "junge", "quiet": "stille", "brown": "braune"}
TIMES = {"today": "heute", "now": "jetzt", "often": "oft", "sometimes": "manchmal"}


def make_pairs(count: int, seed: int) -> list[tuple[str, str]]:
    """Make different pairs; the target moves the time to the front, the verb behind it, and takes articles by noun."""
    generator = random.Random(seed)
    pairs: dict[str, str] = {}
    while len(pairs) < count:
        subject, thing = generator.sample(sorted(NOUNS), 2)
        verb = generator.choice(sorted(VERBS))
        when = generator.choice(sorted(TIMES))
        first, second = generator.choices(sorted(ADJECTIVES), k=2)
        if generator.random() < 0.3:
            source = f"The {first} {subject} {verb} the {second} {thing}."
            target = f"{phrase(subject, first)} {VERBS[verb]} {phrase(thing, second)}."
        else:
            source = f"The {first} {subject} {verb} the {second} {thing} {when}."
            target = f"{TIMES[when]} {VERBS[verb]} {phrase(subject, first)} {phrase(thing, second)}."
        pairs[source] = target[0].upper() + target[1:]
    return list(pairs.items())


def phrase(noun: str, adjective: str) -> str:
    article, name = NOUNS[noun].split()
    return f"{article} {ADJECTIVES[adjective]} {name}"


def write_corpus(folder: Path, pairs: list[tuple[str, str]]) -> tuple[Path, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    files = folder / "text.en", folder / "text.de"
    for side, file in enumerate(files):
        file.write_text("".join(pair[side] + "\n" for pair in pairs), encoding="utf-8")
    return files


def make_config(folder: Path, files: tuple[Path, Path], **training: object) -> Config:
    """Settings of a network small enough for tests, validated on its training pairs."""
    settings = {
        "folder": folder,
        "data": {"train": files, "valid": files, "vocabulary_size": 90, "source_language": "en"}
        | {"target_language": "de"},
        "model": {"embedding_size": 48, "hidden_size": 64, "decoder_layers": 2, "dropout": 0.1},
        "training": {"batch_tokens": 400, "learning_rate": 5e-3, "warmup_steps": 20, "validate_every": 100}
        | {"seed": 3, "threads": 1}
        | training,
    }
    return Config.model_validate(settings)
