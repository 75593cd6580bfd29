"""The settings of text: where it lies, in which languages, and how it becomes ids."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic_core import PydanticCustomError

from nmt.languages import CODE, UNNAMED, common, distinct, folded
from nmt.values import LONGEST_PIECE, subword_files

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*))")


def expand(value: object) -> object:
    """Replace each `${NAME}` or `$NAME` of a path by the environment variable, and a leading `~` by the home folder."""
    if not isinstance(value, str):
        return value
    if not value.strip() or "\0" in value:
        raise ValueError("expected a path")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("expected a path in UTF-8") from None

    def content(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        found = os.environ.get(name)
        if not found:
            raise ValueError(f"environment variable {name} is not set")
        return found

    return os.path.expanduser(_VARIABLE.sub(content, value))  # noqa: PTH111  (Path's own takes an unknown user as a fault)


def _as_corpus(value: object) -> object:
    """Let one text stand for a file of pairs."""
    return [value] if isinstance(value, (str, Path)) else value


def _as_corpora(value: object) -> object:
    """Let a corpus stand for a list of one: a text, or two texts of which not both hold pairs."""
    if isinstance(value, (str, Path)):
        return [[value]]
    names = [Path(item) for item in value if isinstance(item, (str, Path))] if isinstance(value, (list, tuple)) else []
    return [value] if len(names) == 2 and not all(map(_holds_pairs, names)) else value


def _holds_pairs(path: Path) -> bool:
    return re.fullmatch(r".*\.(tsv|tmx|TMX)(\.gz|\.bz2|\.xz|\.zst)?", path.name) is not None


def _check_corpus(value: tuple[Path, ...]) -> tuple[Path, ...]:
    if len(value) == 2 or (len(value) == 1 and _holds_pairs(value[0])):
        return value
    raise ValueError("expected a source and a target file, or one .tsv or .tmx file, plain or compressed (.tsv.gz)")


PathSetting = Annotated[Path, BeforeValidator(expand)]
Corpus = Annotated[tuple[PathSetting, ...], BeforeValidator(_as_corpus), AfterValidator(_check_corpus)]
"""A source and a target file, or one file of tab-separated pairs, or a translation memory."""
Corpora = Annotated[tuple[Corpus, ...], BeforeValidator(_as_corpora), Field(min_length=1)]


class Section(BaseModel):
    """Base of every section: unknown keys are errors and values do not change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class CorpusConfig(Section):
    """Text of one pair of languages, among that of others."""

    source_language: str = Field(pattern=f"^{CODE.pattern}$")
    """Code of the language to translate from, such as de or pt-BR."""
    target_language: str = Field(pattern=f"^{CODE.pattern}$")
    """Code of the language to translate to. Of a model for several, each source begins with a subword that says it."""
    train: Corpora
    """Training text, as in `data.train`."""
    valid: Corpus | None = None
    """Validation text of this pair of languages, which needs it in one of its corpora."""
    test: dict[str, Corpus] = {}
    """Named test sets, scored by `nmt evaluate --test NAME --to LANGUAGE`."""
    weight: float = Field(default=1.0, gt=0.0, le=1000.0)
    """How much more often this text comes in an epoch than it would by its size."""

    @property
    def languages(self) -> tuple[str, str]:
        """Codes of source and target."""
        return self.source_language, self.target_language

    @property
    def direction(self) -> str:
        """Both codes, as in `en-de`."""
        return f"{self.source_language}-{self.target_language}"


class DataConfig(Section):
    """Where the text lies, and how it becomes ids."""

    corpora: tuple[CorpusConfig, ...] = ()
    """Text of several pairs of languages, or of several kinds, each with its weight: `[[data.corpora]]` with
    `source_language`, `target_language`, `train`, `valid`, `test`, `weight`, in place of the settings of these names
    below (docs/multilingual.md)."""
    sampling_temperature: float = Field(default=1.0, ge=1.0, le=1000.0)
    """T, with which a corpus of n pairs makes up n^(1/T) parts of an epoch, times its weight: 1 is each pair once; from
    there on, small corpora come more often than large ones, and at 1000 as often."""
    source_language: str = Field(default=UNNAMED[0], validate_default=True)
    """Language code of the source, as written in the model's card."""
    target_language: str = Field(default=UNNAMED[1], validate_default=True)
    """Language code of the target."""
    train: Corpora = Field(default=(), validate_default=True)
    """Training text: `["a.de", "a.en"]`, or `"pairs.tsv"` with source and target in its first two columns, or
    `"memory.tmx"`, a translation memory with units in both languages, or a list of such; plain, .gz, .bz2, .xz or .zst,
    UTF-8, one segment per line. In every path, `${NAME}` or `$NAME` is the environment variable of that name, and a
    leading `~` the home folder."""
    valid: Corpus = Field(default=(), validate_default=True)
    """Validation text, one corpus of the same form."""
    test: dict[str, Corpus] = {}
    """Named test sets, each one corpus of the same form; scored by `nmt evaluate --test NAME`."""
    vocabulary_size: int = Field(default=8000, ge=16, le=256_000)
    """Subword vocabulary size, in pieces."""
    subword_model: Literal["unigram", "bpe"] = "unigram"
    """SentencePiece model type."""
    joint_vocabulary: bool = True
    """One vocabulary for both languages (needed by model.tie_embeddings across languages)."""
    character_coverage: float = Field(default=1.0, ge=0.98, le=1.0)
    """Share of the text's characters that the subword model covers; 0.9995 for scripts with many characters."""
    normalization: Literal["nmt_nfkc", "nfkc", "identity"] = "nmt_nfkc"
    """SentencePiece's normalisation of both sides; `identity` keeps full-width forms, ligatures and the like. Whatever
    it is, all white space is a space, and control and format characters are left out."""
    split_digits: bool = False
    """Make every digit a subword of its own, so that numbers never seen are spelled like those that were."""
    max_length: int = Field(default=100, ge=LONGEST_PIECE.least, le=LONGEST_PIECE.most)
    """Training pairs with more subwords than this on either side are split at sentence ends if both sides have as many
    sentences, with lengths, numbers and question marks that agree, else left out; counted either way."""
    max_ratio: float = Field(default=9.0, ge=1.0, le=10_000.0)
    """Training pairs in which one side has more than this many times the other's subwords are left out (not applied
    where both sides have ten or fewer)."""
    remove_duplicates: bool = True
    """Leave out training pairs that came before, letter for letter."""

    @field_validator("corpora")
    @classmethod
    def _check_corpora(cls, value: tuple[CorpusConfig, ...]) -> tuple[CorpusConfig, ...]:
        """Check that each pair of languages has one validation set, and that no test set comes twice."""
        seen: dict[str, int] = {}
        for each in value:
            name = folded(each.direction)
            seen[name] = seen.get(name, 0) + (each.valid is not None)
        wrong = [f"{name} has {count or 'none'}" for name, count in seen.items() if count != 1]
        if wrong:
            raise ValueError(f"expected one `valid` for each pair of languages: {', '.join(wrong)}")
        tests = [f"{name} of {folded(each.direction)}" for each in value for name in each.test]
        if len(set(tests)) < len(tests):
            raise ValueError(f"expected a test set once, twice there is {max(tests, key=tests.count)}")
        return value

    @field_validator("source_language", "target_language", mode="after")
    @classmethod
    def _check_language(cls, value: str, info: ValidationInfo) -> str:
        """Take the languages of corpora from there."""
        corpora: tuple[CorpusConfig, ...] = info.data.get("corpora", ())
        if not corpora:
            return value
        name = str(info.field_name)
        found = common(str(getattr(each, name)) for each in corpora)
        if value not in (cls.model_fields[name].default, found):
            raise ValueError(f"expected none beside data.corpora, which says {found}")
        return found

    @field_validator("train", "valid", mode="wrap")
    @classmethod
    def _check_text(cls, value: object, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> object:
        """Want text here or in corpora, not in both."""
        corpora = info.data.get("corpora")  # missing if that is what is wrong
        if isinstance(value, (list, tuple)) and not value:
            if corpora == ():
                raise PydanticCustomError("missing", "required")
            return ()
        if corpora:
            raise ValueError("expected none beside data.corpora, which has its own")
        return handler(value)

    @field_validator("test")
    @classmethod
    def _check_tests(cls, value: dict[str, Corpus], info: ValidationInfo) -> dict[str, Corpus]:
        if value and info.data.get("corpora"):
            raise ValueError("expected none beside data.corpora, which has its own")
        return value

    @property
    def subword_files(self) -> tuple[str, ...]:
        """Names of the subword models in the model folder: one for both sides, or the source's and the target's."""
        return subword_files(self.joint_vocabulary)

    @property
    def parts(self) -> tuple[CorpusConfig, ...]:
        """The text by pairs of languages: `corpora`, or the only one that there is."""
        if self.corpora:
            return self.corpora
        return (
            CorpusConfig.model_construct(
                source_language=self.source_language,
                target_language=self.target_language,
                train=self.train,
                valid=self.valid,
                test=self.test,
                weight=1.0,
            ),
        )

    @property
    def directions(self) -> tuple[tuple[str, str], ...]:
        """Codes of source and target of each pair of languages, once."""
        found = {folded(each.direction): each.languages for each in self.parts}
        return tuple(found.values())

    @property
    def target_languages(self) -> tuple[str, ...]:
        """Codes of the languages to translate to, each once."""
        return tuple(distinct(target for _, target in self.directions))

    @property
    def test_sets(self) -> dict[str, tuple[Corpus, tuple[str, str]]]:
        """Test sets with their languages, by name; of corpora, the name has the languages behind it, as `a:en-de`."""
        return {
            f"{name}:{part.direction}" if self.corpora else name: (corpus, part.languages)
            for part in self.parts
            for name, corpus in part.test.items()
        }
