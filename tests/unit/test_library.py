"""The translator as a guest in somebody else's program: what it is given, and what it leaves as it was."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch

from nmt.decoding import translator as translator_module
from nmt.decoding.hypotheses import SearchError
from nmt.decoding.model_network import ModelNetwork
from nmt.decoding.translation import TranslationSettings
from nmt.decoding.translator import Translator
from nmt.model import guest
from nmt.model.native import NativeNetwork

FOLDER = Path(__file__).parents[1] / "data" / "model-v1"
LINES = ["The old dog sees the small cat.", "", "one two three", "☃"]


@pytest.fixture(scope="module")
def translator() -> Translator:
    return Translator.load(FOLDER, threads=1)


def settings_of_torch() -> tuple[object, ...]:
    return (
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_float32_matmul_precision(),
        torch.is_autocast_enabled("cpu"),
        torch.backends.cudnn.allow_tf32,
        torch.are_deterministic_algorithms_enabled(),
        torch.get_rng_state().tolist(),
    )


@pytest.fixture
def strange_program() -> Iterator[None]:
    """A program with other settings of torch."""
    threads = torch.get_num_threads()
    with ExitStack() as stack:
        torch.set_num_threads(3)
        stack.callback(torch.set_num_threads, threads)
        torch.set_default_dtype(torch.float64)
        stack.callback(torch.set_default_dtype, torch.float32)
        torch.set_float32_matmul_precision("medium")
        stack.callback(torch.set_float32_matmul_precision, "highest")
        stack.enter_context(torch.device("meta"))
        stack.enter_context(torch.autocast("cpu", torch.bfloat16))
        yield


def everything(translator: Translator) -> tuple[object, ...]:
    """All that a translator can tell of some lines."""
    pairs = list(zip(LINES, reversed(LINES), strict=True))
    detailed = translator.translate_detailed(LINES, TranslationSettings(n_best=2, beam_size=3, alignments=True))
    weights = translator.attention(LINES[0], LINES[2]).weights.tolist()
    return translator.translate(LINES), detailed, translator.score(pairs), weights


@pytest.mark.parametrize("search", ["native", "reference"])
def test_other_settings_of_the_program_change_nothing(strange_program: None, search: str) -> None:
    before = settings_of_torch()
    loaded = Translator.load(FOLDER, threads=2, search=search)
    found = everything(loaded)
    assert settings_of_torch() == before
    with torch.device("cpu"), torch.autocast("cpu", enabled=False):
        torch.set_default_dtype(torch.float32)
        torch.set_float32_matmul_precision("highest")
        assert everything(Translator.load(FOLDER, threads=1, search=search)) == found


@pytest.mark.parametrize("wrong", [["a", 5], None, "one text"])
def test_settings_are_put_back_after_an_error(translator: Translator, strange_program: None, wrong: object) -> None:
    before = settings_of_torch()
    with pytest.raises(TypeError):
        translator.translate(wrong)  # type: ignore[arg-type]
    with pytest.raises(SearchError):
        translator.translate(LINES, beam_size=0)
    assert settings_of_torch() == before


@pytest.mark.parametrize(("threads", "used"), [(None, 4), (2, 2)])
def test_threads_are_the_translators_own(
    strange_program: None, monkeypatch: pytest.MonkeyPatch, threads: int | None, used: int
) -> None:
    """Those of torch are the program's, but for a network in torch."""
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    seen = set()
    native, reference = NativeNetwork.search, ModelNetwork._search_batch

    def watched(self: NativeNetwork, *arguments: Any) -> object:
        seen.add(("native", arguments[4], torch.get_num_threads()))
        return native(self, *arguments)

    def watched_reference(self: ModelNetwork, *arguments: Any) -> object:
        seen.add(("reference", torch.get_num_threads()))
        return reference(self, *arguments)

    monkeypatch.setattr(NativeNetwork, "search", watched)
    monkeypatch.setattr(ModelNetwork, "_search_batch", watched_reference)
    for search in ("native", "reference"):
        Translator.load(FOLDER, threads=threads, search=search).translate(LINES)
    assert seen == {("native", used, 3), ("reference", used)}


def in_fork(work: Callable[[], None]) -> int:
    """Exit code of a forked process that does some work, which must not take a minute."""
    child = os.fork()
    if not child:
        signal.alarm(60)  # ends it
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("again", [False, True])
def test_a_forked_process_translates(translator: Translator, monkeypatch: pytest.MonkeyPatch, again: bool) -> None:
    """The threads of torch's pool are not in it."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        torch.randn(1 << 20).add(1).sum()  # the pool has threads now
        loaded = Translator.load(FOLDER)
        expected = loaded.translate(LINES)

        def work() -> None:
            used = Translator.load(FOLDER) if again else loaded
            assert used.translate(LINES) == expected
            assert used.score([("a", "b")])

        assert in_fork(work) == 0
    finally:
        torch.set_num_threads(before)
    assert os.getpid() == guest._IMPORTED_IN


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("one text", r"lines: expected a list of texts, got a single one; for one line: translate\(\[line\]\)\[0\]"),
        (b"one text", r"lines: expected a list of texts, got a single one"),
        (None, "lines: expected a list of texts, got NoneType"),
        (5, "lines: expected a list of texts, got int"),
        ({"a": 1}, "lines: expected a list of texts, got dict"),
        ({"a"}, "lines: expected a list of texts, got set"),
        (["a", b"b"], r"lines\[1\]: expected str, got bytes; decode it: .decode\('utf-8'\)"),
        (["a", "b", None], r"lines\[2\]: expected str, got NoneType"),
        ([5], r"lines\[0\]: expected str, got int"),
        ([["a"]], r"lines\[0\]: expected str, got list"),
    ],
)
def test_what_is_no_list_of_texts(translator: Translator, lines: object, message: str) -> None:
    for method in (translator.translate, translator.translate_detailed):
        with pytest.raises(TypeError, match=message):
            method(lines)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ("ab", "pairs: expected a list of pairs of texts, got str"),
        (["ab"], r"pairs\[0\]: expected \(source, translation\), got str"),
        ([("a", "b", "c")], r"pairs\[0\]: expected \(source, translation\), got 3 items"),
        ([("a", "b"), ("a", b"b")], r"pairs\[1\]\[1\]: expected str, got bytes"),
    ],
)
def test_what_is_no_list_of_pairs(translator: Translator, pairs: object, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        translator.score(pairs)  # type: ignore[arg-type]


def test_what_can_be_gone_through_is_a_list(translator: Translator) -> None:
    expected = translator.translate(LINES)
    assert translator.translate(tuple(LINES)) == expected
    assert translator.translate(line for line in LINES) == expected  # type: ignore[arg-type]
    assert translator.translate([]) == []


@pytest.mark.parametrize("name", ["beam_size", "length_penalty", "batch_size", "n_best"])
@pytest.mark.parametrize("value", [-1, 0, 10**30, float("nan"), float("inf"), 1e308, "2", [2], True, 2j])
def test_numbers_out_of_bounds(translator: Translator, name: str, value: object) -> None:
    if name == "length_penalty" and value == 0 and not isinstance(value, bool):
        return
    with pytest.raises((SearchError, TypeError), match=rf"{name}: expected a (whole )?number from .* to .*, got "):
        translator.translate_detailed(["a"], TranslationSettings(**{name: value}))  # type: ignore[arg-type]


@pytest.mark.parametrize("threads", [0, -1, 1025, 10**30, "2", 1.5, True])
def test_threads_out_of_bounds(threads: object) -> None:
    with pytest.raises((ValueError, TypeError), match="threads: expected a whole number from 1 to 1024, got "):
        Translator.load(FOLDER, threads=threads)  # type: ignore[arg-type]


def test_it_says_what_it_is(translator: Translator) -> None:
    assert repr(translator).startswith("<Translator ")
    assert repr(translator).endswith(" parameters, on cpu>")
    assert "lstm" in repr(translator)


MANY = [f"{line} {number}" for number in range(40) for line in LINES]


@pytest.mark.parametrize(("precision", "search"), [("float32", "native"), ("int8", "native"), ("float32", "reference")])
def test_threads_share_a_translator(precision: str, search: str) -> None:
    """Eight of them, each with other lines: what a line becomes does not depend on who is at work beside it."""
    loaded = Translator.load(FOLDER, threads=2, precision=precision, search=search)
    before = settings_of_torch()
    expected = loaded.translate(MANY[:64])
    found: dict[int, list[str]] = {}

    def work(number: int) -> None:
        found[number] = loaded.translate(MANY[8 * number : 8 * number + 8])
        assert len(loaded.score([("a", "b")])) == 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [text for number in range(8) for text in found[number]] == expected
    assert settings_of_torch() == before


@pytest.mark.parametrize("threads", [1, 3])
def test_a_stream_gives_what_a_list_gives(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    monkeypatch.setattr(translator_module, "CHUNK_LINES", 7)
    loaded = Translator.load(FOLDER, threads=threads)
    how = TranslationSettings(n_best=2, beam_size=3, alignments=True)
    done: list[int] = []
    found = list(loaded.translate_stream((line for line in MANY), how, done.append))
    assert found == loaded.translate_detailed(MANY, how)
    assert sum(done) == 80  # the others hold nothing to read
    assert list(loaded.translate_stream([])) == []


def test_a_stream_is_read_as_it_is_used(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translator_module, "CHUNK_LINES", 5)
    taken = 0

    def lines() -> Iterator[str]:
        nonlocal taken
        while True:  # a file of any size
            taken += 1
            yield "red dog"

    results = translator.translate_stream(lines())
    for used in range(1, 40):
        assert next(results).text
        assert taken <= used + 40


def test_a_stream_answers_before_its_next_line_comes(translator: Translator) -> None:
    come = threading.Event()

    def lines() -> Iterator[str]:
        yield "red dog"
        assert come.wait(60)
        yield "one two"

    results = translator.translate_stream(lines())
    first = next(results)
    come.set()
    assert [first.text, *(each.text for each in results)] == translator.translate(["red dog", "one two"])


def test_what_is_no_stream_of_texts(translator: Translator) -> None:
    with pytest.raises(TypeError, match="lines: expected many texts, got a single one"):
        translator.translate_stream("one text")
    with pytest.raises(TypeError, match="lines: expected a list of texts, got int"):
        translator.translate_stream(5)  # type: ignore[arg-type]
    with pytest.raises(SearchError, match="beam_size: expected a whole number from 1"):
        translator.translate_stream(["a"], TranslationSettings(beam_size=0))
    results = translator.translate_stream(["a", "b", 3])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"lines\[2\]: expected str, got int"):
        list(results)


def test_calls_may_use_other_threads(translator: Translator, monkeypatch: pytest.MonkeyPatch) -> None:
    used = list[int]()
    search = NativeNetwork.search

    def noted(self: NativeNetwork, *arguments: Any) -> Any:
        used.append(arguments[4])
        return search(self, *arguments)

    monkeypatch.setattr(NativeNetwork, "search", noted)
    others = translator.with_threads(2), translator
    found = [each.translate_detailed(LINES) for each in others]
    assert found[0] == found[1]
    assert set(used) == {1, 2}
    assert others[0].source_subwords is translator.source_subwords
