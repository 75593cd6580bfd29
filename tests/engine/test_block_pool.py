"""The pool of memory under both faces: nothing is handed out twice, and little more is held than what was in use."""

import itertools
import mmap
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_engine import memory
from rnn_engine.memory import ALIGNMENT, BlockPool

SMALL_REGIONS = 64 << 10


@pytest.fixture
def small_regions(monkeypatch):
    monkeypatch.setattr(memory, "_REGION", SMALL_REGIONS)


def held(pool):
    return sum(pool.statistics().values())


def test_blocks_are_aligned_and_used_again():
    pool = BlockPool()
    block = pool.array((10, 100), "float32")
    assert (block.shape, block.dtype, block.ctypes.data % ALIGNMENT) == ((10, 100), np.float32, 0)
    address = block.ctypes.data
    del block
    again, other = pool.array((3900,)), pool.array((0,))
    assert again.ctypes.data == address
    assert other.size == 0
    del again, other
    assert pool.statistics()["in_use"] == 0
    assert pool.array((4100,)).ctypes.data == address, "neighbours that are free are one piece"


def test_what_is_free_goes_back():
    pool = BlockPool()
    first, second = (pool.array((8 << 20,)) for _ in range(2))
    first.fill(1)
    second.fill(2)
    del first
    before = resident()
    pool.clear()
    assert before - resident() > 7 << 20
    assert (second == 2).all()
    assert pool.statistics()["in_use"] == 8 << 20
    del second
    pool.clear()
    assert pool.statistics() == {"in_use": 0, "free": 0}


def resident():
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * mmap.PAGESIZE


@pytest.mark.usefixtures("small_regions")
@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 100_000)), max_size=80))
def test_no_two_blocks_share_a_byte(does):
    """Blocks of any sizes, in any order of taking and returning, over several regions."""
    pool, blocks, marks = BlockPool(), [], itertools.cycle(range(1, 251))
    for takes, number in does:
        if takes:
            blocks.append((pool.array((number,)), next(marks)))
            blocks[-1][0].fill(blocks[-1][1])
        elif blocks:
            blocks.pop(number % len(blocks))
        if number % 7 == 0:
            pool.clear()
        assert all((block == mark).all() for block, mark in blocks)
        assert pool.statistics()["in_use"] == sum(max(-(-block.size // 64), 1) * 64 for block, _ in blocks)
        assert pool.statistics()["free"] >= 0
    blocks.clear()
    pool.clear()
    assert pool.statistics() == {"in_use": 0, "free": 0}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=3, max_size=12), st.randoms(use_true_random=False))
def test_batches_of_many_shapes_do_not_make_it_grow(widths, chance):
    """Steps that take blocks in proportion to their lengths, and return them in the opposite order."""
    pool, most = BlockPool(), 0
    for _ in range(60):
        length = chance.randint(5, 60)
        blocks = [pool.array((length * width * 1000,)) for width in widths]
        most = max(most, pool.statistics()["in_use"])
        while blocks:
            blocks.pop()
        assert held(pool) <= most


def test_blocks_that_stay_do_not_keep_others_from_being_joined():
    """As gradients stay from step to step: what is held stays near what was ever in use at once."""
    pool, most, chance, stays = BlockPool(), 0, np.random.default_rng(1), []
    for _ in range(200):
        stays.clear()
        passing = []
        for _ in range(30):
            passing.append(pool.array((int(chance.integers(1, 400_000)),)))
            stays.append(pool.array((50_000,)))
            if chance.random() < 0.5:
                passing.pop(int(chance.integers(len(passing))))
        most = max(most, pool.statistics()["in_use"])
    assert held(pool) < 1.25 * most


@pytest.mark.usefixtures("small_regions")
def test_threads_share_it():
    pool, wrong = BlockPool(), []

    def work(mark):
        chance = np.random.default_rng(mark)
        for _ in range(300):
            block = pool.array((int(chance.integers(1, 50_000)),))
            block.fill(mark)
            if not (block == mark).all():
                wrong.append(mark)

    threads = [threading.Thread(target=work, args=(mark,)) for mark in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert pool.statistics()["in_use"] == 0


@pytest.mark.usefixtures("small_regions")
def test_a_handler_that_comes_in_the_midst_of_a_change_gets_memory_of_its_own(monkeypatch):
    pool, inside = BlockPool(), []
    grow = memory._Blocks._grow

    def interrupted(blocks, size):
        if not inside:
            inside.append(None)
            inside.append(pool.array((1000,)))
            pool.clear()
        return grow(blocks, size)

    monkeypatch.setattr(memory._Blocks, "_grow", interrupted)
    block = pool.array((1000,))
    inside[1].fill(1)
    block.fill(2)
    assert (inside[1] == 1).all()
    inside.clear()
    assert pool.statistics()["in_use"] == 1024


@pytest.mark.usefixtures("small_regions")
def test_an_exception_in_the_midst_of_a_change_leaves_blocks_as_they_are(monkeypatch):
    pool = BlockPool()
    block = pool.array((1000,))
    block.fill(1)
    with monkeypatch.context() as patch:
        patch.setattr(memory._Pieces, "remove", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            pool.array((1000,))
    others = [pool.array((1000,)) for _ in range(100)]
    for other in others:
        other.fill(2)
    assert (block == 1).all()
    del block, other
    others.clear()
    assert pool.statistics()["in_use"] == 0


def test_where_addresses_are_few_a_region_is_no_larger_than_needed(monkeypatch):
    sizes = []

    class Scarce(memory._Region):
        def __init__(self, size):
            if size > 1 << 20:
                raise OSError
            sizes.append(size)
            super().__init__(size)

    monkeypatch.setattr(memory, "_Region", Scarce)
    pool = BlockPool()
    blocks = [pool.array((700_000,)) for _ in range(3)]
    assert len(blocks) == len(sizes)
    with pytest.raises(MemoryError):
        pool.array((2 << 20,))


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit that is kept")
def test_a_limit_of_addresses_is_not_used_up():
    """The first block takes no quarter of a gibibyte of what the process may have, and fits where that much is not."""
    code = """
import resource
import rnn_engine.memory as memory
for most in (None, 200 << 20):
    if most:
        used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + most, used + most))
    pool = memory.BlockPool()
    block = pool.array((1 << 20,))
    [region] = pool._blocks.regions
    print(region.size)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True)
    unlimited, limited = map(int, done.stdout.split())
    assert limited <= 64 << 20 < unlimited


def test_too_much_is_a_memory_error():
    pool = BlockPool()
    for size in (1 << 50, 1 << 62):
        with pytest.raises(MemoryError, match=r"bytes are not to be had"):
            pool.array((size,))
    assert pool.statistics()["in_use"] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_block_is_memory_of_the_process_alone():
    """Blocks of the C library's heap would leave gaps there, and a shared mapping would let a child write to ours."""
    pool, size = BlockPool(), 8 << 20
    array = pool.array((size,))
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    assert isinstance(memoryview(owner.base).obj, mmap.mmap)
    array.fill(1)
    child = os.fork()
    if not child:
        array.fill(2)
        os._exit(0)
    os.waitpid(child, 0)
    assert (array == 1).all()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_child_goes_on_with_what_it_inherits():
    pool = BlockPool()
    array = pool.array((1 << 20,))
    array.fill(1)
    child = os.fork()
    if not child:
        address = array.ctypes.data
        del array
        other = pool.array((1 << 20,))
        os._exit(0 if other.ctypes.data == address and (other == 1).all() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
