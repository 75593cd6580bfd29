"""Text of any kind in, lines for a model out; their translations in, text of that kind out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self

from nmt.decoding.translation import Status, Translation, TranslationSettings
from nmt.text.glossary import Glossary
from nmt.text.html_layout import layout_of_html
from nmt.text.layout import Layout, layout_of_segment, layout_of_text, slots, write
from nmt.text.plans import Finished, Plan
from nmt.text.results import LineResult, TextResult, overall
from nmt.text.segments import Segment, plain

if TYPE_CHECKING:
    from nmt.decoding.translator import Translator


_NOTHING: Final = Translation("", Status.EMPTY)


class TextFormat(StrEnum):
    """What a text is."""

    TEXT = "text"
    """Lines; breaks between them are kept."""
    HTML = "html"
    """A page, or a part of one, however broken."""


class TextTranslator:
    """Makes of texts the lines that a model is to translate, and of their translations texts again.

    It translates nothing by itself, so that whoever does may put the lines of many texts together:

        job = texts.begin(["Hello.\\n\\nHow are you?"])
        translations = translator.translate_detailed(job.lines, job.settings())
        [result] = job.finish(translations)

    It is cheap to make, holds no model, and any number of threads may use one at a time.

    Args:
        source: Language of the texts, as a code such as `en` or `pt-BR`; empty if unknown.
        target: Language of the translations.
    """

    def __init__(self, source: str = "", target: str = "") -> None:
        self.source, self.target = source, target

    @classmethod
    def for_model(cls, translator: Translator) -> Self:
        """Make one for the languages of a model."""
        return cls(translator.source_language, translator.target_language)

    def begin(
        self,
        texts: Sequence[str | Segment],
        format: str = TextFormat.TEXT,
        alternatives: int = 0,
        glossary: Glossary | None = None,
    ) -> Job:
        """Take texts apart.

        Args:
            texts: The texts; or segments, of which `format` is not asked.
            format: What the texts are; see `TextFormat`.
            alternatives: Other translations of each, at most.
            glossary: Terms that the translations are to hold, and what is not to be translated.

        Returns:
            What is to be translated, and how it becomes text again.

        Raises:
            TypeError: If `texts` is no list of texts or segments.
            ValueError: If there is no such format.
        """
        if isinstance(texts, (str, bytes, bytearray)):
            raise TypeError("texts: expected a list of texts, got a single one; for one text: begin([text])")
        known = TextFormat(format)
        layouts = [self._lay_out(text, known) for text in texts]
        return Job(layouts, lambda segment: Plan(segment, glossary, self.source), alternatives)

    def translate(
        self,
        translator: Translator,
        texts: Sequence[str | Segment],
        format: str = TextFormat.TEXT,
        alternatives: int = 0,
        glossary: Glossary | None = None,
        settings: TranslationSettings | None = None,
    ) -> list[TextResult]:
        """Translate texts with a model: `begin`, the model's `translate_detailed`, and `finish`.

        Args:
            translator: The model.
            texts: As for `begin`.
            format: As for `begin`.
            alternatives: As for `begin`.
            glossary: As for `begin`.
            settings: How to search; None takes what the model's settings say.

        Returns:
            What became of each text.

        Raises:
            SearchError: If a setting is out of bounds.
            TypeError, ValueError: As by `begin`.
        """
        job = self.begin(texts, format, alternatives, glossary)
        return job.finish(translator.translate_detailed(job.lines, job.settings(settings)))

    def _lay_out(self, text: str | Segment, format: TextFormat) -> Layout:
        if isinstance(text, tuple):
            return layout_of_segment(text)
        if not isinstance(text, str):
            raise TypeError(f"texts: expected str, or a segment (a tuple), got {type(text).__name__}")
        return layout_of_html(text) if format is TextFormat.HTML else layout_of_text(text)


class Job:
    """Texts that are being translated.

    Args:
        layouts: What each text is made of.
        plan: Says of a segment how to translate it.
        alternatives: Other translations of each, at most.
    """

    def __init__(self, layouts: Sequence[Layout], plan: Callable[[Segment], Plan], alternatives: int) -> None:
        self._layouts, self._alternatives = layouts, alternatives
        self._plans = [[plan(slot.segment) for slot in slots(layout)] for layout in layouts]
        self.lines: list[str] = [each.line for plans in self._plans for each in plans if each.line]
        """What is to be translated, in order: a line each, without line breaks."""
        self.alignments: bool = any(each.aligned for plans in self._plans for each in plans if each.line)
        """Whether the translations are to come with alignments, by which tags, placeholders and terms are placed."""

    def settings(self, settings: TranslationSettings | None = None) -> TranslationSettings:
        """Return settings for `Translator.translate_detailed` that give what `finish` needs.

        Args:
            settings: What they are to be otherwise.
        """
        settings = settings or TranslationSettings()
        n_best = max(settings.n_best, self._alternatives + 1)
        return replace(settings, alignments=settings.alignments or self.alignments, n_best=n_best)

    def finish(self, translations: Sequence[Translation]) -> list[TextResult]:
        """Make texts of the translations.

        Args:
            translations: One for each of `lines`; with alignments if `alignments` says so.

        Returns:
            What became of each text.

        Raises:
            ValueError: If there are not as many as lines.
        """
        if len(translations) != len(self.lines):
            raise ValueError(f"translations: expected one for each of {len(self.lines)} lines, got {len(translations)}")
        left = iter(translations)
        return [
            self._finished(layout, [(plan, next(left) if plan.line else _NOTHING) for plan in plans])
            for layout, plans in zip(self._layouts, self._plans, strict=True)
        ]

    def _finished(self, layout: Layout, done: Sequence[tuple[Plan, Translation]]) -> TextResult:
        """Put a text together from the translations of its lines."""
        ranked = [_ranked(plan, translation, self._alternatives) for plan, translation in done]
        count = max((len(each) for each in ranked), default=1)
        texts = [_written(layout, [each[min(rank, len(each) - 1)] for each in ranked]) for rank in range(count)]
        lines = tuple(
            _line_result(plan, best, translation)
            for (plan, translation), [best, *_] in zip(done, ranked, strict=True)
            if plan.line
        )
        return TextResult(
            texts[0],
            overall([each.status for each in lines] or [Status.COPIED if texts[0].strip() else Status.EMPTY]),
            tuple(text for text in dict.fromkeys(texts[1:]) if text != texts[0]),
            _only_segment(layout, ranked[0][0]) if len(layout) == len(ranked) == 1 else (texts[0],),
            lines,
        )


def _ranked(plan: Plan, translation: Translation, alternatives: int) -> list[Finished | None]:
    """Make the best translations of a segment, at least one; None stands for what is kept as it came."""
    if translation.status in (Status.EMPTY, Status.COPIED):
        return [None]
    if not translation.hypotheses:
        return [plan.finish("", ())]
    return [plan.finish(each.text, each.alignment) for each in translation.hypotheses[: alternatives + 1]]


def _line_result(plan: Plan, done: Finished | None, translation: Translation) -> LineResult:
    if done is None:
        return LineResult(plan.source, plan.source, translation.status, None, plan.missing(plan.source))
    text = plain(done.segment).strip()
    best = translation.hypotheses[0] if translation.hypotheses else None
    return LineResult(plan.source, text, translation.status, done.alignment, done.missing, best)


def _written(layout: Layout, done: Sequence[Finished | None]) -> str:
    """Write a text with the translations of its slots."""
    text = write(layout, (None if each is None else each.segment for each in done))
    return (
        "".join(part if isinstance(part, str) else part.written(None, {}) for part in layout) if text is None else text
    )


def _only_segment(layout: Layout, done: Finished | None) -> Segment:
    """Return the translation of a text that is a segment."""
    [slot] = slots(layout)
    return slot.segment if done is None else done.segment
