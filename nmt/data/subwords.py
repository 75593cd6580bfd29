"""Subwords: SentencePiece vocabularies, their training and their use."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

import sentencepiece

from nmt.data.characters import plain_text
from nmt.files import atomic_write
from nmt.languages import language_of_tag, target_tag
from nmt.reading import read_regular

PAD: Final = 0
"""Id that fills the ends of short sentences in a batch."""
UNK: Final = 1
"""Id of what the vocabulary cannot spell."""
BOS: Final = 2
"""Id that the decoder is given first."""
EOS: Final = 3
"""Id that ends a sentence."""
SPECIAL: Final = 4
"""How many ids stand for no text; the others begin here."""

LARGEST_SUBWORDS: Final = 64 << 20
"""Bytes of a `.spm` file at most: 256,000 pieces take a tenth."""

_TRAINING_LINES: Final = 500_000
"""Lines of a larger text that a vocabulary is trained on: more would change it little, and cost memory and time."""
_TRAINING_CHARACTERS: Final = 16_000_000
"""The same in characters, each of which takes 20 to 40 bytes while SentencePiece trains: about 0.4 GB. Text without
spaces decides the bound: it takes minutes where other text takes seconds."""


class SubwordError(ValueError):
    """A subword model that cannot be trained or read."""


class Subwords:
    """A subword vocabulary that turns text into ids and back.

    Args:
        model: A serialised SentencePiece model with pad = 0, unk = 1, bos = 2, eos = 3.
        origin: Where it comes from, for error messages.

    Raises:
        SubwordError: `model` is something else.
    """

    def __init__(self, model: bytes, origin: str = "subword model") -> None:
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError:
            raise SubwordError(
                f"{origin}: expected a SentencePiece model, got {len(model)} bytes of something else"
            ) from None
        found = (
            self._processor.pad_id(),
            self._processor.unk_id(),
            self._processor.bos_id(),
            self._processor.eos_id(),
        )
        if found != (PAD, UNK, BOS, EOS):
            raise SubwordError(f"{origin}: expected pad, unk, bos, eos = {(PAD, UNK, BOS, EOS)}, got {found}")
        try:
            for index in range(self._processor.get_piece_size()):
                self._processor.id_to_piece(index)
        except UnicodeDecodeError:
            raise SubwordError(f"{origin}: damaged: piece {index} is no UTF-8") from None
        self.serialized = model
        """The model as a `.spm` file holds it."""
        self.size: int = self._processor.get_piece_size()
        """V, number of pieces with the four special ones."""
        self.tags = self._tags()
        """Of a model for several target languages, the subword that begins a source for each, by the folded code; no
        text is ever spelt with one."""

    def _tags(self) -> dict[str, int]:
        found = {}
        for index in range(SPECIAL, self.size):  # control symbols come first
            language = language_of_tag(self.piece(index)) if self._processor.is_control(index) else None
            if language is None:
                break
            found[language] = index
        return found

    @classmethod
    def load(cls, path: Path) -> Subwords:
        """Read a `.spm` file.

        Raises:
            SubwordError: It holds no such model.
            OSError: There is no such file, or it is too large to be one.
        """
        return cls(read_regular(path, LARGEST_SUBWORDS), str(path))

    def save(self, path: Path) -> None:
        """Write the model as a `.spm` file, atomically."""
        with atomic_write(path) as file:
            file.write(self.serialized)

    def encode(self, text: str) -> list[int]:
        """Ids of one line, without bos and eos."""
        return self.encode_lines([text])[0]

    def encode_lines(self, lines: Sequence[str]) -> list[list[int]]:
        """Ids of each line (see `plain_text`), without bos and eos; on one thread: callers decide about threads."""
        plain = [plain_text(line) for line in lines]
        ids: list[list[int]] = self._processor.encode(plain, out_type=int, num_threads=1) if plain else []
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the ids; pad, bos and eos among them say nothing.

        Raises:
            SubwordError: An id is none of the vocabulary's.
        """
        return self.decode_lines([ids])[0]

    def decode_lines(self, lines: Sequence[Sequence[int]]) -> list[str]:
        """Text of each line of ids (see `decode`)."""
        plain = [[int(i) for i in ids] for ids in lines]
        for ids in plain:
            if ids and not 0 <= min(ids) <= max(ids) < self.size:
                raise SubwordError(f"expected ids from 0 to {self.size - 1}, got {min(ids)} to {max(ids)}")
        texts: list[str] = self._processor.decode(plain, num_threads=1) if plain else []
        return texts

    def piece(self, index: int) -> str:
        """Return the piece of an id, with SentencePiece's mark for a space."""
        if not 0 <= index < self.size:
            raise SubwordError(f"expected an id from 0 to {self.size - 1}, got {index}")
        piece: str = self._processor.id_to_piece(index)
        return piece

    def scores(self) -> list[float]:
        """Scores of all pieces, by id: log-probabilities for unigram, earlier merges higher for bpe."""
        scores: list[float] = self._processor.get_score(list(range(self.size)))
        return scores

    def id(self, piece: str) -> int:
        """Return the id of a piece; UNK if the vocabulary lacks it."""
        index: int = self._processor.piece_to_id(piece)
        return index


class PiecesThat:
    """The ids whose pieces have some property, each looked at when it is first asked for.

    Args:
        subwords: The vocabulary.
        has: Whether a piece has the property.
    """

    def __init__(self, subwords: Subwords, has: Callable[[str], bool]) -> None:
        self._subwords, self._has = subwords, has
        self._known: dict[int, bool] = {}

    def __contains__(self, index: object) -> bool:
        assert isinstance(index, int)
        found = self._known.get(index)
        if found is None:
            found = self._known[index] = self._has(self._subwords.piece(index))
        return found


def train_subwords(
    lines: Iterable[str],
    vocabulary_size: int,
    *,
    model_type: Literal["unigram", "bpe"] = "unigram",
    character_coverage: float = 1.0,
    normalization: Literal["nmt_nfkc", "nfkc", "identity"] = "nmt_nfkc",
    split_digits: bool = False,
    share: float = 1.0,
    target_languages: Sequence[str] = (),
) -> Subwords:
    """Train a subword vocabulary; the same lines and settings give the same vocabulary.

    Args:
        lines: Training text of the language, or of both for a joint vocabulary.
        vocabulary_size: V, number of pieces with the four special ones.
        model_type: SentencePiece's model.
        character_coverage: Share of the characters that get a piece of their own.
        normalization: SentencePiece's normalisation rule, which becomes part of the model and comes after `plain_text`.
        split_digits: Whether every digit is a piece of its own.
        share: Share of the lines that are drawn for training (see `training_share`).
        target_languages: Those that get a tag each, see `Subwords.tags`.

    Raises:
        SubwordError: The text is too small or has too many characters for `vocabulary_size`; the message says which
            sizes are possible.

    Source:
        Kudo 2018 (unigram); Sennrich et al. 2016 (bpe); Kudo and Richardson 2018 (SentencePiece).
    """
    output = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_draw(lines, share),
            model_writer=output,
            vocab_size=vocabulary_size,
            model_type=model_type,
            character_coverage=character_coverage,
            normalization_rule_name=normalization,
            split_digits=split_digits,
            control_symbols=list(map(target_tag, target_languages)),  # unlike user-defined ones, no text holds them
            pad_id=PAD,
            unk_id=UNK,
            bos_id=BOS,
            eos_id=EOS,
            num_threads=1,  # sums of several threads would depend on their number
            input_sentence_size=0,  # all of them: SentencePiece's own choice differs from run to run
            shuffle_input_sentence=False,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise SubwordError(_explain(str(error), vocabulary_size)) from None
    return Subwords(output.getvalue())


def training_share(lines: int, characters: int) -> float:
    """Share of a text's lines to train a vocabulary on, so that memory and time are bounded.

    Args:
        lines: Number of lines of the text.
        characters: Their lengths, added up.

    Returns:
        At most 1, which is all of them.
    """
    return min(1.0, _TRAINING_LINES / max(lines, 1), _TRAINING_CHARACTERS / max(characters, 1))


def _draw(lines: Iterable[str], share: float) -> Iterator[str]:
    import random  # noqa: PLC0415  (translating draws nothing)

    generator = random.Random(1)
    return (plain_text(line) for line in lines if share >= 1.0 or generator.random() < share)


def load_subwords(folder: Path, names: Sequence[str]) -> tuple[Subwords, Subwords]:
    """Read the vocabularies of a model folder.

    Args:
        folder: The folder.
        names: Their files, as `DataConfig.subword_files` names them: one for both sides, or the source's and the
            target's. No other file is read, whatever else is there.

    Returns:
        Source and target; the same object twice if they are joint.

    Raises:
        SubwordError: A file is missing or holds something else.
    """
    for name in names:
        if not (folder / name).exists():
            raise SubwordError(f"{folder / name}: missing; the settings of this model name it")
    loaded = [Subwords.load(folder / name) for name in names]
    return loaded[0], loaded[-1]


def subword_contents(names: Sequence[str], subwords: tuple[Subwords, Subwords]) -> dict[str, bytes]:
    """Gather what the files of `load_subwords` hold, by name."""
    return {name: each.serialized for name, each in zip(names, subwords, strict=False)}


def _explain(message: str, vocabulary_size: int) -> str:
    """SentencePiece's error in the words of our settings."""
    if found := re.search(r"value <= (\d+)", message):
        return (
            f"data.vocabulary_size: expected at most {found[1]} for a training text this small, got {vocabulary_size}"
        )
    if found := re.search(r"required_chars\. \d+ vs (\d+)", message):
        return (
            f"data.vocabulary_size: expected at least {found[1]}, one for each character of the training text, "
            f"got {vocabulary_size} (or lower data.character_coverage)"
        )
    if "sentences_.empty()" in message or "all_chars_count" in message:
        return "data.train: expected text to train subwords on, got only lines that are empty or very long"
    return f"SentencePiece cannot train a vocabulary of {vocabulary_size}: {message}"
