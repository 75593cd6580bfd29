"""Text in, text out: one line in gives exactly one line out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from nmt.config import Config
from nmt.data.subwords import load_subwords
from nmt.decoding.alignment import Links, link_words, words_of_pieces, words_of_source
from nmt.decoding.beam_search import SearchError, SearchOptions
from nmt.decoding.lines import Readable, SubwordModel, is_invisible, one_line
from nmt.decoding.scoring import attention, log_probabilities
from nmt.decoding.searcher import Outcome, Searcher
from nmt.decoding.splitting import Piece, split_line
from nmt.decoding.status import Status
from nmt.decoding.translation import (
    AttentionMap,
    Candidate,
    PairScore,
    PieceResult,
    Translation,
    TranslationSettings,
    identity,
    join_pieces,
)
from nmt.model.device import use_device
from nmt.model.seq2seq import Seq2Seq
from nmt.model.threads import use_threads
from nmt.model_folder.files import ModelError
from nmt.model_folder.weights import load_model

Ids = tuple[int, ...]

_LARGEST_MAP: Final = 25_000_000  # weights: 100 MB


@dataclass(frozen=True)
class _Line:
    """A line, ready for the model."""

    text: str
    parts: tuple[tuple[Piece, Ids], ...] = ()
    """Its pieces, and the subwords of each, none for a piece that cannot be read; no pieces if the line cannot."""


@dataclass(frozen=True)
class _Result:
    """What became of the subwords of a piece."""

    outcome: Outcome
    texts: list[str]
    """Of each hypothesis."""
    links: list[Links | None]
    """Of each hypothesis, if asked for."""


class Translator:
    """Translates text with a model.

    Args:
        model: The network; put into evaluation mode whenever it translates.
        source_subwords: The source's subword model.
        target_subwords: The target's subword model.
        config: The settings; `decoding` gives the defaults, `data.max_length` the longest piece.
    """

    def __init__(
        self, model: Seq2Seq, source_subwords: SubwordModel, target_subwords: SubwordModel, config: Config
    ) -> None:
        self.model = model
        self.source_subwords = source_subwords
        self.target_subwords = target_subwords
        self.config = config
        self._readable = Readable(source_subwords)

    @classmethod
    def load(cls, folder: Path | str, threads: int | None = None, device: str = "cpu") -> Self:
        """Read a model folder.

        Args:
            folder: The folder.
            threads: CPU threads; None takes every core that the process may use.
            device: Where to translate, as in `nmt.model.device.use_device`.

        Returns:
            The translator.

        Raises:
            DeviceError: If the device cannot be used.
            ModelError: If the model is missing, damaged, or does not fit its config or its subword models.
            SubwordError: If a subword model is missing or damaged.
        """
        use_threads(threads)
        place = use_device(device)  # before the model is read: what is missing is told at once
        config, model = load_model(Path(folder), Seq2Seq.from_config)
        source, target = load_subwords(Path(folder))
        sizes = model.vocabulary_sizes
        if (source.size, target.size) != sizes:
            raise ModelError(
                f"{folder}: expected subword models of {sizes[0]} (source) and {sizes[1]} (target) pieces, "
                f"got {source.size} and {target.size}"
            )
        return cls(model.to(place), source, target, config)

    def translate(
        self,
        lines: Sequence[str],
        beam_size: int | None = None,
        length_penalty: float | None = None,
        batch_size: int | None = None,
        progress: Callable[[int], None] | None = None,
        retry: bool | None = None,
    ) -> list[str]:
        """Translate lines: the texts of `translate_detailed`.

        Args:
            lines: The lines.
            beam_size: See `TranslationSettings`, as for the others.
            length_penalty: See there.
            batch_size: See there.
            progress: See `translate_detailed`.
            retry: See there.

        Returns:
            A translation for each line, in order, without line breaks.

        Raises:
            SearchError: If a setting is out of bounds.
        """
        settings = TranslationSettings(beam_size, length_penalty, batch_size, retry=retry)
        return [translation.text for translation in self.translate_detailed(lines, settings, progress)]

    def translate_detailed(
        self,
        lines: Sequence[str],
        settings: TranslationSettings | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> list[Translation]:
        """Translate lines, and tell of each how it went.

        A line longer than `data.max_length` subwords is cut, at sentence ends where possible; its pieces are translated
        one by one and joined. Sentences that are equal are translated once.

        What a line becomes does not depend on its neighbours, nor on the number of threads, as far as the arithmetic
        goes: in batches of other shapes scores may differ in the seventh digit, so that two hypotheses as good as
        equal, or a check just at its threshold, can in rare cases be decided otherwise.

        Args:
            lines: The lines, whatever they hold.
            settings: How to translate; None takes what the model's settings say.
            progress: Called after every batch with the number of sentences just translated.

        Returns:
            A translation for each line, in order.

        Raises:
            SearchError: If a setting is out of bounds.
        """
        settings = settings or TranslationSettings()
        options, batch_size = self._options(settings)
        retry = self.config.decoding.retry if settings.retry is None else settings.retry
        prepared = self._prepare([one_line(line) for line in lines])
        ids_of = {piece.text: ids for line in prepared for piece, ids in line.parts if ids}
        sources = list(ids_of.values())
        searcher = Searcher(self.model, self.config.decoding)
        if retry:
            outcomes = searcher.search_checked(sources, options, batch_size, progress)
        else:
            found = searcher.search(sources, options, batch_size, progress)
            outcomes = [Outcome(tuple(each), Status.OK if each else Status.FAILED) for each in found]
        aligned = settings.alignments
        results = self._results(ids_of, outcomes, aligned=aligned)
        return [_assemble(line, results, options.length_penalty, aligned=aligned) for line in prepared]

    def score(self, pairs: Iterable[tuple[str, str]]) -> list[PairScore]:
        """Tell how likely given translations are.

        Args:
            pairs: Source and translation; neither is cut, however long.

        Returns:
            The score of each.
        """
        texts = [(one_line(source), one_line(target)) for source, target in pairs]
        sources = self.source_subwords.encode_lines([source for source, _ in texts]) if texts else []
        targets = self.target_subwords.encode_lines([target for _, target in texts]) if texts else []
        scores = log_probabilities(self.model, sources, targets)
        return [PairScore(score, len(ids) + 1) for score, ids in zip(scores, targets, strict=True)]

    def attention(self, source: str, target: str) -> AttentionMap:
        """Tell where the model looks while it writes a translation.

        Args:
            source: A line.
            target: Its translation, by this model or another.

        Returns:
            The weights between their subwords.

        Raises:
            SearchError: If the lines are so long that the weights would fill the memory.
        """
        ids = self.source_subwords.encode(one_line(source)), self.target_subwords.encode(one_line(target))
        size = (len(ids[0]) + 1) * (len(ids[1]) + 1)
        if size > _LARGEST_MAP:
            raise SearchError(f"attention: expected at most {_LARGEST_MAP:,} pairs of subwords, got {size:,}")
        [(_, weights)] = attention(self.model, [ids[0]], [ids[1]])
        pieces = [
            (*map(subwords.piece, side), "</s>")
            for subwords, side in zip((self.source_subwords, self.target_subwords), ids, strict=True)
        ]
        return AttentionMap(pieces[0], pieces[1], weights)

    def _options(self, settings: TranslationSettings) -> tuple[SearchOptions, int]:
        defaults = self.config.decoding
        options = SearchOptions(
            beam_size=max(defaults.beam_size, settings.n_best) if settings.beam_size is None else settings.beam_size,
            length_penalty=defaults.length_penalty if settings.length_penalty is None else settings.length_penalty,
            n_best=settings.n_best,
        )
        options.check()
        batch_size = defaults.batch_size if settings.batch_size is None else settings.batch_size
        if batch_size < 1:
            raise SearchError(f"batch_size: expected at least 1, got {batch_size}")
        return options, batch_size

    def _prepare(self, texts: Sequence[str]) -> list[_Line]:
        """Cut lines into pieces within the limit; those without anything to read have none."""
        limit = self.config.data.max_length
        encode = self.source_subwords.encode_lines
        lines = []
        for text, ids in zip(texts, encode(texts) if texts else [], strict=True):
            if not self._readable(ids):
                lines.append(_Line(text))
            elif len(ids) <= limit:
                lines.append(_Line(text, ((Piece(text, ""), tuple(ids)),)))
            else:
                pieces = split_line(text, limit, self._lengths)
                spelt = [tuple(ids) if self._readable(ids) else () for ids in encode([piece.text for piece in pieces])]
                lines.append(_Line(text, tuple(zip(pieces, spelt, strict=True))))
        return lines

    def _lengths(self, texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in self.source_subwords.encode_lines(texts)]

    def _results(self, sources: Mapping[str, Ids], outcomes: Sequence[Outcome], *, aligned: bool) -> dict[str, _Result]:
        """Turn the hypotheses for each source text into texts and links."""
        pairs = [
            (source, hypothesis.tokens)
            for source, outcome in zip(sources, outcomes, strict=True)
            for hypothesis in outcome.hypotheses
        ]
        tokens = [each for _, each in pairs]
        links: list[Links | None] = [None] * len(pairs)
        for index, weights in attention(self.model, [sources[text] for text, _ in pairs], tokens) if aligned else ():
            text, target = pairs[index]
            words = words_of_source(self.source_subwords, text, sources[text])
            links[index] = link_words(
                weights, words, words_of_pieces([self.target_subwords.piece(each) for each in target])
            )
        texts = iter(self.target_subwords.decode_lines(tokens) if tokens else [])
        linked = iter(links)
        return {
            source: _Result(
                outcome,
                [one_line(next(texts)) for _ in outcome.hypotheses],
                [next(linked) for _ in outcome.hypotheses],
            )
            for source, outcome in zip(sources, outcomes, strict=True)
        }


def _assemble(line: _Line, results: Mapping[str, _Result], penalty: float, *, aligned: bool) -> Translation:
    """Make the translation of a line from those of its pieces."""
    if line.parts:
        pieces = [_piece(piece, results[piece.text] if ids else None) for piece, ids in line.parts]
        return join_pieces(pieces, penalty, aligned=aligned)
    if is_invisible(line.text):
        return Translation("", Status.EMPTY, (), () if aligned else None)
    return Translation(line.text, Status.COPIED, (), identity(line.text) if aligned else None)


def _piece(piece: Piece, result: _Result | None) -> PieceResult:
    if result is None:
        return PieceResult(piece, Status.COPIED)
    hypotheses = result.outcome.hypotheses
    candidates = [
        Candidate(text, each.score, each.log_probability, links)
        for text, each, links in zip(result.texts, hypotheses, result.links, strict=True)
    ]
    return PieceResult(piece, result.outcome.status, candidates, [len(each.tokens) + 1 for each in hypotheses])
