"""Many models in one process: which there are, when they are open, what becomes of them when files change."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from many_models import model_content, model_folder, put

from nmt.decoding.translator import Translator
from nmt.model_folder.files import ModelError
from nmt.server.registry import ModelOptions, Models, UnknownDirectionError

LINES = ["w0 w1 w2", "w3"]


def languages_of(models: Models, source: str, target: str) -> tuple[str, str]:
    """What the model that is given for two languages says of itself; it translates, too."""
    with models.use(source, target) as model:
        assert len(model.translator.translate_detailed(LINES)) == 2
        assert isinstance(model.translator, Translator)
        data = model.translator.config.data
        return data.source_language, data.target_language


def pairs(models: Models) -> list[str]:
    return [f"{each.source}-{each.target}" for each in models.directions()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "models"
    place.mkdir()
    for source, target in (("de", "en"), ("en", "fr"), ("pt_BR", "en")):
        put(place / f"{source}-{target}.nmt", source, target)
    return place


def test_a_folder_is_listed_and_models_open_when_asked_for(folder: Path) -> None:
    model_folder(folder / "trained", "en", "cs", "CC-BY-4.0")
    (folder / "notes.txt").write_text("not a model")
    models = Models([folder])
    assert pairs(models) == ["de-en", "en-cs", "en-fr", "pt_BR-en"]
    assert models.directions()[1].license == "CC-BY-4.0"
    assert (models.problems, models.usage().open) == ((), 0)
    assert languages_of(models, "PT-br", "EN") == ("pt_BR", "en")
    assert languages_of(models, "en", "cs") == ("en", "cs")
    assert (models.usage().models, models.usage().open, models.usage().opened) == (4, 2, 2)
    models.close()
    assert (models.usage().open, models.usage().bytes, models.usage().closed) == (0, 0, 2)
    with pytest.raises(UnknownDirectionError, match="'fr' to 'de'; there are de-en, en-cs, en-fr, pt_BR-en"):
        languages_of(models, "fr", "de")


def test_through_a_third_language(folder: Path) -> None:
    models = Models([folder], ModelOptions(pivots=("EN",)))
    assert pairs(models) == ["de-en", "de-fr", "en-fr", "pt_BR-en", "pt_BR-fr"]
    assert models.directions()[1].via == "en"
    with models.use("de", "fr") as model:
        found = model.translator.translate_detailed(LINES)
        assert models.usage().open == 2
    [first, second] = [Translator.load(folder / name) for name in ("de-en.nmt", "en-fr.nmt")]
    assert [each.text for each in found] == second.translate(first.translate(LINES))
    (folder / "en-fr.nmt").write_bytes(b"damaged")
    models.close()
    with pytest.raises(ModelError, match=r"en-fr\.nmt"), models.use("de", "fr"):
        pass
    models.close()  # what was taken is given back: nothing is left in use
    assert models.usage().open == 0


def test_least_recently_used_ones_are_closed_but_none_in_use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.server.shelf.heap_bytes", lambda: 0)  # which grows by what else this process does
    size = (folder / "de-en.nmt").stat().st_size
    models = Models([folder], ModelOptions(memory=1))
    with models.use("de", "en") as kept:
        languages_of(models, "en", "fr")
        assert models.usage().open == 1
        assert models.usage().bytes >= size
        with models.use("de", "en"):
            assert models.usage().opened == 2
        assert len(kept.translator.translate_detailed(LINES)) == 2
    assert models.usage()[1:3] == (0, 0)
    with pytest.raises(RuntimeError, match="lease had ended"):
        _ = kept.translator
    roomy = Models([folder], ModelOptions(memory=2 * size + size // 2))
    for source, target in (("de", "en"), ("en", "fr"), ("de", "en"), ("pt-BR", "en"), ("de", "en")):
        languages_of(roomy, source, target)
    usage = roomy.usage()
    assert (usage.open, usage.opened, usage.closed) == (2, 3, 1)  # en-fr was asked for before the others
    assert usage.bytes <= 2 * size + size // 2


def test_what_models_grow_by_is_counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heap = [100_000_000]
    monkeypatch.setattr("nmt.server.shelf.heap_bytes", lambda: heap[0])
    models = Models([folder], ModelOptions(memory=65_000_000))
    asked = [("de", "en"), ("en", "fr"), ("pt-BR", "en")]
    for pair in asked:
        languages_of(models, *pair)
    small = models.usage()
    assert (small.open, small.closed) == (3, 0)
    heap[0] += 30_000_000
    assert models.usage().bytes == small.bytes + 30_000_000
    heap[0] += 10**9  # of which models, whose caches are bounded, took little: some stay open
    assert models.usage().bytes == small.bytes + 3 * (24 << 20)
    heap[0] -= 10**9 - 30_000_000
    languages_of(models, *asked[0])
    assert models.usage().open == 3
    heap[0] += 20_000_000  # more than 65 MB together
    languages_of(models, *asked[2])
    assert (models.usage().open, models.usage().closed) == (2, 1)
    languages_of(models, *asked[0])
    assert models.usage().opened == 3


def test_what_is_closed_is_freed(folder: Path) -> None:
    models = Models([folder], ModelOptions(memory=1))
    gc.disable()  # no cycle may be what keeps it
    try:
        with models.use("de", "en") as model:
            there = weakref.ref(model.translator)
        assert there() is None
    finally:
        gc.enable()
    assert str(folder) not in Path("/proc/self/maps").read_text()


def test_requests_that_come_first_open_a_model_once(folder: Path) -> None:
    models = Models([folder])
    begin = threading.Barrier(8)

    def ask(number: int) -> tuple[str, str]:
        begin.wait()
        return languages_of(models, *(("de", "en"), ("en", "fr"))[number % 2])

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(ask, range(8)))
    assert found == [("de", "en"), ("en", "fr")] * 4
    assert models.usage().opened == 2


def test_threads_get_the_right_model_while_others_are_closed_and_replaced(folder: Path) -> None:
    models = Models([folder], ModelOptions(memory=1))
    asked = [("de", "en"), ("en", "fr"), ("pt_BR", "en")]

    def ask(number: int) -> None:
        for each in range(20):
            pair = asked[(number + each) % 3]
            assert languages_of(models, *pair) == pair

    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(ask, number) for number in range(4)]
        for turn in range(6):
            put(folder / "de-en.nmt", "de", "en", ("float32", "int8")[turn % 2])
            models.refresh()
        for each in running:
            each.result()
    assert models.usage()[1:3] == (0, 0)
    assert models.problems == ()


def test_files_that_change(folder: Path) -> None:
    models = Models([folder])
    assert models.refresh() is None
    with models.use("de", "en") as old:
        before = old.translator
        assert isinstance(before, Translator)
        put(folder / "de-en.nmt", "de", "en", "float32")
        put(folder / "en-it.nmt", "en", "it")
        (folder / "en-fr.nmt").unlink()
        assert models.refresh() == ()
        assert models.refresh() is None
        assert pairs(models) == ["de-en", "en-it", "pt_BR-en"]
        with models.use("de", "en") as new:
            assert isinstance(new.translator, Translator)
            assert new.translator.network.precision == "float32"
        assert old.translator is before
        assert len(before.translate_detailed(LINES)) == 2
        assert models.usage().open == 2
    assert models.usage().open == 1
    with pytest.raises(UnknownDirectionError):
        languages_of(models, "en", "fr")


def test_a_damaged_new_file_is_told_and_the_old_model_stays(folder: Path) -> None:
    models = Models([folder])
    assert languages_of(models, "de", "en") == ("de", "en")
    bad = folder / "new"
    bad.write_bytes(model_content("de", "en")[:-1] + b"?")
    bad.replace(folder / "de-en.nmt")
    [problem] = models.refresh() or ()
    assert "de-en.nmt" in problem
    assert languages_of(models, "de", "en") == ("de", "en")
    assert models.refresh() is None
    assert models.problems == (problem,)
    put(folder / "de-en.nmt", "de", "en")
    assert models.refresh() == ()
