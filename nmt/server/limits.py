"""How many requests a client may make in a minute."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import Final

from nmt.server.errors import Refused

_REMEMBERED: Final = 100_000  # clients


class RequestLimit:
    """Lets each client make so many requests at once, and as many a minute in the long run.

    Of a client is kept when it will have used up nothing, a number; of those that have used up nothing, nothing.

    Args:
        clock: Seconds.

    Source:
        The generic cell rate algorithm, ITU-T I.371, as a virtual schedule.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._free_at: OrderedDict[str, float] = OrderedDict()

    def count(self, client: str, most: int) -> None:
        """Count a request.

        Args:
            client: Who makes it.
            most: A minute; 0: any number.

        Raises:
            Refused: It is one too many, and not counted.
        """
        if most <= 0:
            return
        now = self._clock()
        free_at = max(now, self._free_at.get(client, now)) + 60 / most
        wait = free_at - now - 60 - 1e-9
        if wait > 0:
            raise Refused(429, f"Slowdown: expected at most {most:,} requests a minute", wait)
        self._free_at[client] = free_at
        self._free_at.move_to_end(client)
        for _ in range(2):  # the longest unseen, of which most have used up nothing by now
            oldest = next(iter(self._free_at))
            if self._free_at[oldest] <= now or len(self._free_at) > _REMEMBERED:
                del self._free_at[oldest]
            if not self._free_at:
                break

    def __len__(self) -> int:
        """Clients that are remembered."""
        return len(self._free_at)


def client_of(host: str | None) -> str:
    """Return who a client is by its address; of IPv6, its network, since a client has all of that."""
    if host is None or ":" not in host:
        return host or ""
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    return str(address.ipv4_mapped or ipaddress.IPv6Network((address, 64), strict=False))
