"""Who may ask, and how often."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request

from nmt.server.bodies import Fields, text_of
from nmt.server.errors import Refused
from nmt.server.keys import Keys, read_keys
from nmt.server.limits import RequestLimit, client_of


class Admission:
    """Looks at keys, and counts requests.

    Args:
        keys: File of keys; None: none are asked for, and those that are given mean nothing.
        optional: Whether requests without a key are answered, too.
        requests: A minute, of a client without a key, or of a key that says nothing else; 0: any number.

    Raises:
        KeysError, OSError: The file cannot be read.
    """

    def __init__(self, keys: Path | None, optional: bool, requests: int) -> None:
        self._path, self._optional, self._requests = keys, optional, requests
        self._limit = RequestLimit()
        self.reload()

    @property
    def has_keys(self) -> bool:
        """Whether there are keys."""
        return self._keys is not None

    @property
    def needs_key(self) -> bool:
        """Whether requests without a key are refused."""
        return self._keys is not None and not self._optional

    def reload(self) -> None:
        """Read the keys again; raises what is raised when an object is made, and then keeps what it has."""
        self._keys = None if self._path is None else Keys(read_keys(self._path))

    def admit(self, request: Request, fields: Fields) -> None:
        """Look at a request, and count it.

        Raises:
            Refused: It is not to be answered.
        """
        given = text_of(fields, "api_key", "") or _bearer(request)
        client, most = client_of(request.client.host if request.client else None), self._requests
        if self._keys is not None and given:
            key = self._keys.find(given)
            if key is None:
                raise Refused(403, "Invalid API key")
            client = f"key {key.id}"
            most = self._requests if key.requests is None else key.requests
        elif self.needs_key:
            raise Refused(400, "Please contact the server operator to get an API key")
        self._limit.count(client, most)


def _bearer(request: Request) -> str:
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() if kind.lower() == "bearer" else ""
