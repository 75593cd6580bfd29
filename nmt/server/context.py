"""What routes have in common: the service, and what a request is before it is answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from nmt.server.admission import Admission
from nmt.server.bodies import Fields, read_fields
from nmt.server.metrics import Metrics
from nmt.server.observing import TOLD
from nmt.server.options import ServeOptions
from nmt.server.protocol import GONE
from nmt.server.service import Gone, Service
from nmt.server.shelter import Shelter


@dataclass
class Context:
    """What routes work with."""

    options: ServeOptions
    service: Service
    admission: Admission
    metrics: Metrics
    shelter: Shelter

    async def fields(self, request: Request, most: int | None = None) -> Fields:
        """Read a request, and admit it.

        Args:
            request: The request.
            most: Bytes of it; None for the usual limit.

        Raises:
            Refused: It cannot be read, or is not to be answered.
        """
        limits = self.options.limits
        fields = await read_fields(request, limits.body if most is None else most, limits.slow)
        self.admission.admit(request, fields)
        return fields


def context_of(request: Request) -> Context:
    """Return what routes work with."""
    found: Context = request.app.state.context
    return found


def gone_of(request: Request) -> Gone:
    """Return what sets the function that is called when the client of a request has left."""

    def set_gone(function: Any) -> None:
        request.scope[GONE] = function

    return set_gone


def tell(request: Request, **numbers: int) -> None:
    """Say numbers that are logged with a request."""
    request.scope[TOLD] = numbers
