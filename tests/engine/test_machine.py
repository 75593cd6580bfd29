"""What is measured of a machine: one number, kept in a file, that changes no plan; and forks, beside all of it."""

import os
import re
import signal
import threading

import pytest
import torch

import rnn_engine
from rnn_engine import native
from rnn_engine.spec import Memory, StackSpec

SPEC = StackSpec("lstm", 64, 64, 4)
OPTIONS = native.Options(training=True)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RNN_ENGINE_CACHE", str(tmp_path / "some" / "folder"))
    return tmp_path / "some" / "folder"


def plan_of(context, options=OPTIONS):
    context.calibrate()
    return native.plan(context, SPEC, "float32", 64, 2, None, options)


def with_digest(text):
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return f"{text}digest: {value:016x}\n"


def facts(plan):
    return plan.reserve_bytes, plan.workspace_bytes, plan.groups, plan.steps, plan.policies(), plan.kinds()


def test_the_speed_is_kept_and_changes_no_plan(folder):
    first = plan_of(native.Context(2))
    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    kept = file.read_text()
    assert plan_of(native.Context(2)).seconds == first.seconds > 0
    assert file.read_text() == kept
    slower = re.sub("value: (.*)\n", lambda found: f"value: {float(found[1]) / 8:.17g}\n", kept.split("digest")[0])
    file.write_text(with_digest(slower))
    for memory in ("store", "recompute", "1MiB"):
        options = OPTIONS._replace(memory=Memory.parse(memory))
        file.write_text(kept)
        before = plan_of(native.Context(2), options)
        file.write_text(with_digest(slower))
        after = plan_of(native.Context(2), options)
        assert after.seconds == pytest.approx(8 * before.seconds)
        assert facts(after) == facts(before)


@pytest.mark.parametrize("damage", ["empty", "cut", "other", "absurd", "pipe", "link", "folder"])
def test_a_damaged_file_counts_as_none(folder, damage, tmp_path):
    plan_of(native.Context(1))
    (file,) = folder.iterdir()
    text = file.read_text()
    file.unlink()
    if damage == "pipe":
        os.mkfifo(file)
    elif damage == "link":
        elsewhere = tmp_path / "elsewhere"
        elsewhere.write_text(text)
        file.symlink_to(elsewhere)
    elif damage == "folder":
        file.mkdir()
    else:
        absurd = with_digest(re.sub("value: .*\n", "value: 1e30\n", text.split("digest")[0]))
        changed = {"empty": "", "cut": text[:-5], "other": text.replace("threads: 1", "threads: 9"), "absurd": absurd}
        file.write_text(changed[damage])
    assert 0 < plan_of(native.Context(1)).seconds < 10
    if damage == "link":
        assert (tmp_path / "elsewhere").read_text() == text
    if damage != "folder":
        assert file.read_text().startswith("rnn_engine speed\n")
        assert not file.is_symlink()
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("place", ["off", "/proc/nowhere", "/dev/null/x"])
def test_without_a_folder_nothing_is_kept(place, monkeypatch):
    monkeypatch.setenv("RNN_ENGINE_CACHE", place)
    assert plan_of(native.Context(1)).seconds > 0


def test_a_fork_beside_calls_plans_and_calibration():
    layer = rnn_engine.LSTM(32, 32, 2)
    x = torch.randn(40, 4, 32)
    expected = layer(x)[0]
    stop = threading.Event()

    def busy():
        while not stop.is_set():
            layer(x)[0].sum().backward()
            plan_of(native.Context(2, "generic"))

    threads = [threading.Thread(target=busy) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(6):
            child = os.fork()
            if child == 0:
                signal.alarm(60)
                right = torch.equal(layer(x)[0], expected) and plan_of(native.Context(2)).seconds > 0
                os._exit(0 if right else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
