"""Some of the requests of `hostile_requests.py`."""

from __future__ import annotations

from hostile_requests import OPTIONS, send_and_look
from served import served


def test_hostile_requests() -> None:
    with served(OPTIONS) as service:
        statuses = send_and_look(service, 500, seed=0)
    assert {200, 400, 404, 405, 413, 415} <= statuses.keys()  # or they try less than they say
