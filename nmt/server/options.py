"""What a service is asked for when it is started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Limits:
    """What a request may be, and how many there may be."""

    characters: int = 20_000
    """Of all texts of a request."""
    texts: int = 1_000
    """Of a request."""
    alternatives: int = 10
    """Of each text; more are not given."""
    requests: int = 0
    """A minute, of a client or key; 0: any number."""
    body: int = 1_000_000
    """Bytes of a request."""
    file: int = 10_000_000
    """Bytes of a request with a document."""
    queue: int = 2_000
    """Lines that wait to be translated."""
    seconds: float = 60.0
    """Until a request is given up."""
    file_seconds: float = 600.0
    """Until a document is given up."""
    files: int = 64_000_000
    """Bytes of translated documents that are kept for their clients."""
    kept: float = 1_200.0
    """Seconds for which they are."""
    slow: float = 20.0
    """Seconds in which headers, or a body, are to come, and in which a client takes some of an answer."""
    connections: int = 1_000
    """At a time."""


@dataclass(frozen=True)
class ServeOptions:
    """How to serve."""

    host: str = "127.0.0.1"
    port: int = 5000
    """0: any that is free."""
    threads: int | None = None
    """That translate; None for what OMP_NUM_THREADS says, or all cores."""
    memory: int | None = None
    """Bytes that open models may take; see `nmt.server.registry.ModelOptions`, as for the next."""
    pivots: tuple[str, ...] = ()
    beam_size: int | None = None
    """Hypotheses per sentence; None for what each model's settings say."""
    limits: Limits = Limits()
    keys: Path | None = None
    """File of API keys; None: none are asked for."""
    keys_optional: bool = False
    """Whether requests without a key are answered, too."""
    origins: tuple[str, ...] = ()
    """Of web pages that may use the service from a browser (CORS); `*` for all."""
    proxies: str = ""
    """Addresses of proxies that tell who asks, such as `127.0.0.1`."""
    page: bool = True
    """Whether to serve the web page."""
    metrics: bool = True
    """Whether to serve `/metrics`."""
    metrics_at: tuple[str, int] | None = None
    """Address and port where it is served instead, with nothing else; None: where all else is."""
    root_path: str = ""
    """Under which a proxy shows the service, such as `/nmt`; the proxy takes it away from what it hands on."""
    log: bool = True
    """Whether to log requests."""
