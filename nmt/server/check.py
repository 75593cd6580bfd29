"""Whether a service that runs somewhere does what its clients expect; needs nothing but Python's own library."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from time import perf_counter
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import nmt

_SECONDS: Final = 30
_LARGEST: Final = 1_000_000  # bytes of an answer that are read


class Check(NamedTuple):
    """What was looked at."""

    good: bool
    what: str
    """In words."""


class _Answer(NamedTuple):
    status: int
    content: Any
    headers: Mapping[str, str]
    seconds: float


class CheckError(ValueError):
    """An address that is none."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any, **named: Any) -> None:
        return None


class Checker:
    """Asks a service.

    Args:
        url: Where it is, as `https://translate.example.org`, with the path under which a proxy shows it.
        key: API key; empty for none.

    Raises:
        CheckError: The address is none.
    """

    def __init__(self, url: str, key: str = "") -> None:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise CheckError(f"expected an address such as http://127.0.0.1:5000, got {url}")
        self._url, self._key = url.rstrip("/"), key
        self._open = urllib.request.build_opener(_NoRedirects).open

    def run(self) -> Iterator[Check]:
        """Look at one thing after the other; ends early where the rest makes no sense."""
        health = self._ask("/health")
        yield _said(health.status == 200 and _is(health.content, "status", "ok"), "answers", health)
        if health.status != 200:
            return
        spec = self._ask("/spec")
        version = spec.content.get("info", {}).get("version", "") if isinstance(spec.content, dict) else ""
        yield Check(version == nmt.__version__, f"version {version or 'unknown'}; this program has {nmt.__version__}")
        yield from self._look_at_languages()
        limit = self._ask("/frontend/settings").content
        most = limit.get("charLimit") if isinstance(limit, dict) else None
        yield Check(isinstance(most, int), f"limit of characters: {most}")
        if isinstance(most, int) and 0 < most <= 10_000_000:
            large = self._ask("/translate", {"q": "a" * (most + 1), "source": "en", "target": "en"})
            yield _said(large.status in (400, 413), f"refuses {most + 1:,} characters", large)
        wrong = self._ask("/translate", {"q": "a"})
        yield _said(wrong.status == 400 and isinstance(_error(wrong), str), "explains what is missing", wrong)

    def _look_at_languages(self) -> Iterator[Check]:
        answer = self._ask("/languages")
        found = answer.content if isinstance(answer.content, list) else []
        pairs = [(each["code"], target) for each in found for target in each["targets"] if target != each["code"]]
        yield _said(bool(pairs), f"translates {len(pairs)} directions", answer)
        for source, target in pairs[:10]:
            done = self._ask("/translate", {"q": "1 2 3.", "source": source, "target": target, "api_key": self._key})
            good = done.status == 200 and isinstance(done.content.get("translatedText"), str)
            yield _said(good, f"translates {source} to {target}", done)

    def _ask(self, path: str, fields: Mapping[str, Any] | None = None) -> _Answer:
        body = None if fields is None else json.dumps(fields).encode()
        request = urllib.request.Request(self._url + path, body, {"content-type": "application/json"})
        start = perf_counter()
        try:
            with self._open(request, timeout=_SECONDS) as answer:
                status, content, headers = answer.status, answer.read(_LARGEST), answer.headers
        except urllib.error.HTTPError as error:
            with error:
                status, content, headers = error.code, error.read(_LARGEST), error.headers
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            return _Answer(0, {"error": str(reason)}, {}, perf_counter() - start)
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            found = None
        return _Answer(status, found, headers, perf_counter() - start)


def _said(good: bool, what: str, answer: _Answer) -> Check:
    told = f"{what} ({1000 * answer.seconds:.0f} ms)"
    if good:
        return Check(True, told)
    reason = _error(answer) or "no JSON that was expected"
    return Check(False, f"{what}: {f'status {answer.status}: ' if answer.status else ''}{reason}")


def _error(answer: _Answer) -> Any:
    return answer.content.get("error") if isinstance(answer.content, dict) else None


def _is(content: Any, name: str, value: str) -> bool:
    return isinstance(content, dict) and content.get(name) == value
