"""Some of the requests of `hostile_requests.py`."""

from __future__ import annotations

import asyncio

from hostile_requests import OPTIONS, send_and_look
from hostile_sockets import send_all, service_apart
from served import served


def test_hostile_requests() -> None:
    with served(OPTIONS) as service:
        statuses = send_and_look(service, 500, seed=0)
    assert {200, 400, 404, 405, 413, 415} <= statuses.keys()  # or they try less than they say


def test_hostile_requests_among_good_ones_over_sockets() -> None:
    with service_apart() as (port, _):
        statuses = asyncio.run(send_all(port, 300, seed=0))
    assert statuses[200] >= 100
    assert {400, 404, 413} <= statuses.keys()
