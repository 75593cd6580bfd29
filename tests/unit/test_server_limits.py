"""How often clients may ask, who they are, and what is kept for them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nmt.server import limits
from nmt.server.errors import Refused
from nmt.server.keys import Key, Keys, KeysError, new_key, read_keys, write_keys
from nmt.server.limits import RequestLimit, client_of
from nmt.server.shelter import Shelter


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def accepted(limit: RequestLimit, client: str, most: int, tries: int) -> int:
    refused = []
    for _ in range(tries):
        try:
            limit.count(client, most)
        except Refused as error:
            refused.append(error)
    assert all(error.status == 429 and 0 < (error.retry_after or 0) <= 60 for error in refused)
    return tries - len(refused)


def test_so_many_at_once_and_so_many_a_minute() -> None:
    limit = RequestLimit(clock := Clock())
    assert accepted(limit, "a", 30, 100) == 30
    assert accepted(limit, "b", 30, 100) == 30
    clock.now += 10
    assert accepted(limit, "a", 30, 100) == 5
    clock.now += 1000
    assert accepted(limit, "a", 30, 100) == 30
    assert accepted(limit, "c", 0, 1000) == 1000


def test_clients_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_REMEMBERED", 50)
    limit = RequestLimit(clock := Clock())
    for number in range(1000):
        limit.count(f"{number}", 1)
    assert len(limit) <= 51
    clock.now += 100
    for number in range(60):
        limit.count(f"x{number}", 10**6)
        clock.now += 1
    assert len(limit) <= 2


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("no:address", "no:address"),
        (None, ""),
    ],
)
def test_who_a_client_is(host: str | None, client: str) -> None:
    assert client_of(host) == client


def test_keys_are_kept_as_digests(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    made = [new_key(name, requests) for name, requests in (('a "b"\\\n\x7fé', None), ("", 0), ("c", 5))]
    write_keys(path, [key for _, key in made])
    assert path.stat().st_mode & 0o777 == 0o600
    assert not any(given.partition(".")[2] in path.read_text() for given, _ in made)
    keys = Keys(read_keys(path))
    assert [keys.find(given) for given, _ in made] == [key for _, key in made]
    given = made[0][0]
    for wrong in ("", ".", given[:-1], given + "x", given.replace(".", ""), given[:9], "é" * 1000, "\ud800"):
        assert keys.find(wrong) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "not a TOML file"),
        ("key = 3", "expected [[key]] tables"),
        ("key = [3]", "key number 1: expected a table"),
        ("[[key]]\nid = '1'", "id: expected 8 hexadecimal digits"),
        ("[[key]]\nid = '12345678'", "sha256: expected 64 hexadecimal digits"),
        (f"[[key]]\nid = '12345678'\nsha256 = '{'0' * 64}'\nrequests = -1", "requests: expected a whole number from 0"),
        (f"[[key]]\nid = '12345678'\nsha256 = '{'0' * 64}'\nname = 1", "name: expected a text"),
        (f"[[key]]\nid = '12345678'\nsha256 = '{'0' * 64}'\nkey = 'x'", "expected a table of id, sha256, name and"),
    ],
)
def test_damaged_keys(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(text)
    with pytest.raises(KeysError, match=re.escape(message)):
        read_keys(path)


def test_a_key_that_nobody_has_is_never_found() -> None:
    assert Keys([Key("12345678", "0" * 64)]).find("12345678.x") is None


def test_documents_are_kept_for_a_while() -> None:
    shelter = Shelter(100, 60, clock := Clock())
    first = shelter.put("a", "text/plain", b"x" * 60)
    found = shelter.get(first)
    assert found is not None
    assert found.content == b"x" * 60
    second = shelter.put("b", "text/plain", b"y" * 50)
    assert shelter.get(first) is None
    large = shelter.put("c", "text/plain", b"z" * 1000)
    assert shelter.get(second) is None
    assert shelter.get(large) is not None
    clock.now += 61
    assert shelter.get(large) is None
    assert shelter._bytes == 0
