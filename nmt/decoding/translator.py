"""Text in, text out: one line in gives exactly one line out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from nmt.data.ahead import ReadAhead
from nmt.data.subwords import PiecesThat, Subwords
from nmt.decoding.arguments import checked_lines, checked_pairs, checked_text, each_checked
from nmt.decoding.hypotheses import SearchError, SearchOptions
from nmt.decoding.lines import Line, LineCutter, one_line
from nmt.decoding.models import open_models
from nmt.decoding.network import Network, Progress
from nmt.decoding.pieces import PieceTranslator
from nmt.decoding.searching import Searcher, search_options
from nmt.decoding.stream import Ask, a_step_ahead
from nmt.decoding.tagged import TaggedNetwork
from nmt.decoding.translation import (
    AttentionMap,
    PairScore,
    PieceKey,
    PieceResult,
    Translation,
    TranslationSettings,
    assemble,
)
from nmt.languages import common, find_language, folded
from nmt.model_folder.files import ModelError

if TYPE_CHECKING:
    from nmt.brief import Settings

CHUNK_LINES: Final = 2_000
"""Lines of a stream translated together: enough to sort by length, few enough to hold in memory."""
CHUNK_SIZE: Final = 1_000_000
"""And of how many characters or bytes."""

_LARGEST_MAP: Final = 25_000_000  # weights: 100 MB


def by_sentence(config: Settings, asked: bool | None) -> bool:
    """Whether to translate the sentences of a line one by one: as asked for, or else as the model's settings say.

    Models that do not tell what a line of their training text was were trained before it was looked at: on sentences,
    as most text for training is.
    """
    return asked if asked is not None else config.decoding.sentences and config.lines != "texts"


class Lines(NamedTuple):
    """Lines that are translated together."""

    texts: Sequence[str]
    prefixes: Sequence[str] | None = None
    """What the translation of each begins with; an empty one says nothing."""


class Translator:
    """Translates text with a network, in whatever program: nothing of the program's own settings changes.

    Args:
        network: What translates ids.
        source_subwords: The source's subword model.
        target_subwords: The target's subword model.
        config: The settings; `decoding` gives the defaults, `data.max_length` the longest piece.
        to: Code of the language to translate to; None where the model knows one only, or for `to` to say.

    Raises:
        LanguageError: The model does not write the language.
    """

    def __init__(
        self,
        network: Network,
        source_subwords: Subwords,
        target_subwords: Subwords,
        config: Settings,
        to: str | None = None,
    ) -> None:
        self._untold = network
        self.source_subwords = source_subwords
        self.target_subwords = target_subwords
        self.config = config
        """The model's settings, or those of them that translating takes."""
        self._wordless = PiecesThat(target_subwords, lambda piece: not any(map(str.isalpha, piece)))
        self._cutter = LineCutter(source_subwords, config.data.max_length)
        self._told: dict[str, Translator] = {}  # by target language
        one = to is not None or len(self.target_languages) == 1
        self._set_target(find_language("to", to, self.target_languages) if one else None)

    def _set_target(self, language: str | None) -> None:
        """Translate to a language of the model; None: to none of several, until `to` is asked for one."""
        source, target = self.source_subwords, self.target_subwords
        self.network = self._untold
        if source.tags and language is not None:
            if folded(language) not in source.tags:
                known = ", ".join(source.tags)
                raise ModelError(f"expected subwords with a tag for {language}, as the settings have it; got {known}")
            self.network = TaggedNetwork(self._untold, source.tags[folded(language)], list(target.tags.values()))
        self._target = language
        searcher = Searcher(self.network, self.config.decoding, self._wordless)
        self._pieces = PieceTranslator(searcher, source, target, self._cutter, self.config.doubtful)

    @classmethod
    def load(
        cls,
        folder: Path | str | Sequence[Path | str],
        threads: int | None = None,
        device: str = "cpu",
        precision: str | None = None,
        search: str = "native",
        shortlist: int = 0,
        to: str | None = None,
    ) -> Self:
        """Read a model folder, or a model file (docs/model_file.md), or several that translate together.

        Of several models of the same subwords, the log-probabilities of every next subword are averaged, and so is what
        they look at: of a whole translation that is the mean of what the models think of it. Settings are the first's.

        Args:
            folder: The folder, or the file; a list of them for an ensemble.
            threads: CPU threads that a call uses; None for what OMP_NUM_THREADS says, or all cores.
            device: Where to translate, as in `nmt.model.device.use_device`; a CUDA device needs torch.
            precision: float32, or int8 or bfloat16: faster on the CPU, and almost as good (docs/commands/translate.md);
                None for float32, or what the file holds.
            search: native, or reference: the search that can be read, which needs torch and time.
            shortlist: Search among so many of the likeliest translations of each source subword, and as many of the
                most frequent subwords, alone; 0: among all. For the native search and models that have a shortlist; of
                an ensemble, all of them: what one lists is searched.
            to: Code of the language to translate to; None where the model knows one only, or for `to` to say.

        Returns:
            The translator.

        Raises:
            DeviceError: If the device cannot be used, or not with this precision, or not by a file.
            MissingError: If torch is needed, and not installed.
            TypeError, ValueError: If `threads` is no number, or out of bounds; or if there is no such precision or
                search, or not both together.
            LanguageError: If the model does not write the language.
            ModelError: If the model is missing, damaged, or does not fit its config or its subword models.
            SubwordError: If a subword model is missing or damaged.
        """
        return cls(*open_models(folder, threads, device, precision, search, shortlist), to)

    def to(self, language: str | None) -> Translator:
        """Return what translates to a language; it shares all that is large with this, and threads may ask for it.

        Args:
            language: Its code; upper and lower case, `-` and `_` are the same. None where there is one only.

        Raises:
            LanguageError: The model does not write it; the message lists those that it does.
        """
        found = find_language("to", language, self.target_languages)
        if found == self._target:
            return self
        if found not in self._told:
            other = copy(self)
            other._set_target(found)
            self._told[found] = other  # which knows those that this knows, too
        return self._told[found]

    @property
    def target_languages(self) -> tuple[str, ...]:
        """Codes of the languages that the model writes."""
        return self.config.data.target_languages

    @property
    def target_language(self) -> str:
        """Code of the language to translate to.

        Raises:
            LanguageError: There are several, and nothing said which.
        """
        return find_language("to", self._target, self.target_languages)

    @property
    def source_language(self) -> str:
        """Code of the language to translate from, `mul` for any of several."""
        target = self.target_language
        return common(source for source, other in self.config.data.directions if folded(other) == folded(target))

    def with_threads(self, threads: int) -> Self:
        """Return the same model, of whose calls each uses so many CPU threads; it holds nothing twice.

        Args:
            threads: The number.
        """
        other = copy(self)
        other._untold, other._told = self._untold.with_threads(threads), {}
        other._set_target(self._target)
        return other

    def __repr__(self) -> str:
        """Tell what it translates with what, on one line."""
        data, network = self.config.data, self.network
        return (
            f"<Translator {data.source_language}-{self._target or data.target_language}: {self.config.model.cell}, "
            f"{network.number_of_parameters:,} parameters, on {network.place}>"
        )

    def translate(
        self,
        lines: Sequence[str],
        beam_size: int | None = None,
        length_penalty: float | None = None,
        batch_size: int | None = None,
        progress: Progress | None = None,
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
            TypeError: If `lines` is no list of texts.
        """
        settings = TranslationSettings(beam_size, length_penalty, batch_size, retry=retry)
        return [translation.text for translation in self.translate_detailed(lines, settings, progress)]

    def translate_detailed(
        self,
        lines: Sequence[str],
        settings: TranslationSettings | None = None,
        progress: Progress | None = None,
        prefixes: Sequence[str] | None = None,
    ) -> list[Translation]:
        """Translate lines, and tell of each how it went.

        Sentences of a line are translated one by one, where the training text was sentences. What is longer than
        `data.max_length` subwords is cut, at sentence ends where possible. Pieces are translated in the same batches as
        all others, and joined with the white space between them; those that are equal are translated once.

        A translation can be made to begin with a given text, as when somebody corrects it from left to right. What
        follows begins with a new subword, not always with a new word. Sentences of such a line are not translated one
        by one; if it is cut nevertheless, its first piece begins with the text.

        What a line becomes does not depend on its neighbours, nor on the number of threads, as far as the arithmetic
        goes: in batches of other shapes scores may differ in the seventh digit, so that two hypotheses as good as
        equal, or a check just at its threshold, can in rare cases be decided otherwise.

        Args:
            lines: The lines, whatever they hold.
            settings: How to translate; None takes what the model's settings say.
            progress: Called after every batch with the number of sentences just translated.
            prefixes: What the translation of each line begins with; an empty one says nothing.

        Returns:
            A translation for each line, in order.

        Raises:
            SearchError: If a setting is out of bounds, or there are not as many prefixes as lines.
            TypeError: If `lines` or `prefixes` is no list of texts.
        """
        settings = settings or TranslationSettings()
        prepared = self._prepare(lines, settings, prefixes)
        return self._assemble(prepared, self._search(prepared, settings, progress), settings)

    def translate_stream(
        self, lines: Iterable[str], settings: TranslationSettings | None = None, progress: Progress | None = None
    ) -> Iterator[Translation]:
        """Translate any number of lines as they come, with memory that does not grow.

        Lines are taken ahead, in a thread of its own; a line that waits for others is translated after a tenth of a
        second with what there is. What a line becomes is what `translate_detailed` makes of it.

        Args:
            lines: The lines, such as an open text file or a generator.
            settings: How to translate; None takes what the model's settings say.
            progress: Called now and then, in another thread, with the number of sentences just translated.

        Returns:
            A translation for each line, in order, each as soon as it is there.

        Raises:
            SearchError: If a setting is out of bounds.
            TypeError: If `lines` cannot be gone through, or, when its turn comes, a line is no text.
        """
        ahead = ReadAhead(each_checked(lines), len, CHUNK_LINES, CHUNK_SIZE)
        return chain.from_iterable(self.translate_chunks(ahead.chunks(), settings, progress))

    def translate_chunks(
        self,
        chunks: Iterable[Sequence[str] | Lines],
        settings: TranslationSettings | None = None,
        progress: Progress | None = None,
    ) -> Iterator[list[Translation]]:
        """Translate lists of lines; while one is searched, the next is prepared, and the last one made into text.

        Args:
            chunks: The lists, or lists with prefixes; another thread takes them, as they are needed.
            settings: As for `translate_stream`.
            progress: As for `translate_stream`.

        Returns:
            The translations of each list, in order, as soon as they are there.

        Raises:
            SearchError: If a setting is out of bounds.
            TypeError: If a list is none of texts, when its turn comes.
        """
        settings = settings or TranslationSettings()
        self._options(settings)  # what is wrong with them is told at once

        def prepare(chunk: Sequence[str] | Lines, ask: Ask) -> list[Line]:
            lines, prefixes = (chunk.texts, chunk.prefixes) if isinstance(chunk, Lines) else (chunk, None)
            return self._prepare(lines, settings, prefixes)

        def search(lines: list[Line], ask: Ask) -> tuple[list[Line], dict[PieceKey, PieceResult]]:
            def told(count: int) -> None:
                ask()
                if count and progress is not None:
                    progress(count)

            return lines, self._search(lines, settings, told)

        prepared = a_step_ahead(prepare, chunks)
        return (self._assemble(lines, results, settings) for lines, results in a_step_ahead(search, prepared))

    def _prepare(
        self, lines: Sequence[str], settings: TranslationSettings, prefixes: Sequence[str] | None = None
    ) -> list[Line]:
        """Cut lines into pieces of subwords."""
        texts = [one_line(text) for text in checked_lines(lines)]
        return self._cut(texts, prefixes, sentences=by_sentence(self.config, settings.sentences))

    def _search(
        self, lines: Sequence[Line], settings: TranslationSettings, progress: Progress | None
    ) -> dict[PieceKey, PieceResult]:
        """Translate the pieces of lines, each once."""
        options, batch_size = self._options(settings)
        ids_of = {piece.key: ids for line in lines for piece, ids in line.parts if ids}
        return self._pieces.translate(ids_of, options, batch_size, progress, retry=self._retries(settings))

    def _assemble(
        self, lines: Sequence[Line], results: Mapping[PieceKey, PieceResult], settings: TranslationSettings
    ) -> list[Translation]:
        """Put the translations of pieces together."""
        options, _ = self._options(settings)
        found = [assemble(line, results, options.length_penalty, aligned=options.attention) for line in lines]
        return [  # U+FFFD stands for what nobody could read
            each.damaged() if "\ufffd" in line.text else each for line, each in zip(lines, found, strict=True)
        ]

    def _cut(self, texts: Sequence[str], prefixes: Sequence[str] | None, *, sentences: bool) -> list[Line]:
        """Cut lines into pieces; of those with a prefix the first piece has it."""
        lines = self._cutter.cut(texts, sentences=sentences)
        if prefixes is None:
            return lines
        starts = [one_line(text) for text in checked_lines(prefixes, "prefixes")]
        if len(starts) != len(texts):
            raise SearchError(f"prefixes: expected one for each of {len(texts)} lines, got {len(starts)}")
        begun = [number for number, start in enumerate(starts) if start]
        whole = self._cutter.cut([texts[number] for number in begun])
        spelt = self.target_subwords.encode_lines([starts[number] for number in begun])
        for number, line, ids in zip(begun, whole, spelt, strict=True):
            lines[number] = line.beginning_with(tuple(ids))
        return lines

    def _require_target(self) -> None:
        """Raise LanguageError where nothing said which of several languages to write."""
        assert self.target_language

    def _retries(self, settings: TranslationSettings) -> bool:
        """Whether to check translations: what is drawn is what was asked for, however it looks."""
        usual = self.config.decoding.retry and settings.sampling is None
        return usual if settings.retry is None else settings.retry

    def score(self, pairs: Iterable[tuple[str, str]]) -> list[PairScore]:
        """Tell how likely given translations are.

        Args:
            pairs: Source and translation; neither is cut, however long.

        Returns:
            The score of each.

        Raises:
            TypeError: If `pairs` is no list of pairs of texts.
        """
        self._require_target()
        texts = [(one_line(source), one_line(target)) for source, target in checked_pairs(pairs)]
        sources = self.source_subwords.encode_lines([source for source, _ in texts])
        targets = self.target_subwords.encode_lines([target for _, target in texts])
        scores = self.network.log_probabilities(sources, targets)
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
            TypeError: If either is no text.
        """
        self._require_target()
        source, target = checked_text("source", source), checked_text("target", target)
        ids = self.source_subwords.encode(one_line(source)), self.target_subwords.encode(one_line(target))
        size = (len(ids[0]) + 1) * (len(ids[1]) + 1)
        if size > _LARGEST_MAP:
            raise SearchError(f"attention: expected at most {_LARGEST_MAP:,} pairs of subwords, got {size:,}")
        [(_, weights)] = self.network.attention([ids[0]], [ids[1]])
        pieces = [
            (*map(subwords.piece, side), "</s>")
            for subwords, side in zip((self.source_subwords, self.target_subwords), ids, strict=True)
        ]
        return AttentionMap(pieces[0], pieces[1], weights)

    def _options(self, settings: TranslationSettings) -> tuple[SearchOptions, int]:
        self._require_target()
        return search_options(settings, self.config.decoding)
