"""Arguments of the commands that serve translations."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated

import typer

from nmt.commands.options import BeamSize, Threads, within
from nmt.reporting import reporting
from nmt.values import Bounds

keys = typer.Typer(no_args_is_help=True, help="Look after the API keys of `nmt serve`.")

_PORTS = 65_535
KeyFile = Annotated[Path, typer.Argument(metavar="FILE", help="File of keys, as `nmt serve --keys` takes it.")]


def serve(
    models: Annotated[
        list[Path] | None,
        typer.Argument(metavar="MODEL...|FOLDER", help="Model files, model folders, or folders of them."),
    ] = None,
    *,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0 is everywhere.")] = "127.0.0.1",
    port: Annotated[int, within(Bounds(0, _PORTS), "Port to listen on; 0 is any that is free.")] = 5000,
    threads: Threads = None,
    beam_size: BeamSize = None,
    memory: Annotated[
        int | None, within(Bounds(1, 1_000_000), "Megabytes that open models may take.  [default: any number]")
    ] = None,
    pivot: Annotated[
        list[str],
        typer.Option(metavar="LANGUAGE", help="Translate through this language where no model knows a pair."),
    ] = [],  # noqa: B006  (typer copies it)
    char_limit: Annotated[int, within(Bounds(1, 10_000_000), "Characters of a request.")] = 20_000,
    batch_limit: Annotated[int, within(Bounds(1, 1_000_000), "Texts of a request.")] = 1_000,
    req_limit: Annotated[
        int, within(Bounds(0, 1_000_000), "Requests a minute, of an address or a key; 0: any number.")
    ] = 0,
    file_limit: Annotated[int, within(Bounds(1, 1_000), "Megabytes of a document.")] = 10,
    queue: Annotated[int, within(Bounds(1, 1_000_000), "Lines that may wait; more are answered with 503.")] = 2_000,
    timeout: Annotated[
        float, within(Bounds(0.1, 3_600.0), "Seconds until a request is given up; documents have ten times as many.")
    ] = 60.0,
    connections: Annotated[int, within(Bounds(1, 100_000), "Connections at a time.")] = 1_000,
    key_file: Annotated[
        Path | None, typer.Option("--keys", metavar="FILE", help="Ask for API keys; `nmt keys` makes the file.")
    ] = None,
    keys_optional: Annotated[
        bool, typer.Option("--keys-optional", help="Answer requests without a key, too, within --req-limit.")
    ] = False,
    cors: Annotated[
        list[str],
        typer.Option(metavar="ORIGIN", help="Let web pages from there use the service; * is everywhere."),
    ] = [],  # noqa: B006
    proxy: Annotated[
        list[str],
        typer.Option(metavar="ADDRESS", help="Believe this proxy's X-Forwarded-For and X-Forwarded-Proto."),
    ] = [],  # noqa: B006
    root_path: Annotated[
        str, typer.Option(metavar="PATH", help="Under which a proxy shows the service, such as /nmt.")
    ] = "",
    page: Annotated[bool, typer.Option(help="Serve the web page.")] = True,
    metrics: Annotated[bool, typer.Option(help="Serve /metrics for Prometheus.")] = True,
    metrics_at: Annotated[
        str | None, typer.Option(metavar="ADDRESS:PORT", help="Serve /metrics there alone, and not beside all else.")
    ] = None,
    log: Annotated[bool, typer.Option(help="Log requests to stderr, as lines of JSON without their texts.")] = True,
    check: Annotated[
        str | None, typer.Option(metavar="URL", help="Serve nothing; check the service that runs there.")
    ] = None,
) -> None:
    """Serve translations over HTTP, by LibreTranslate's API."""
    if check is not None:
        with reporting():
            from nmt.commands.serve import run_check

            if not run_check(check, os.environ.get("NMT_API_KEY", "")):
                raise typer.Exit(1)
            return
    if not models:
        raise typer.BadParameter("expected a model, or --check URL", param_hint="MODEL...|FOLDER")
    if keys_optional and key_file is None:
        raise typer.BadParameter("--keys-optional: expected --keys FILE with it")
    with reporting():
        from nmt.commands.serve import run
        from nmt.server.options import Limits, ServeOptions

        limits = Limits(
            characters=char_limit,
            texts=batch_limit,
            requests=req_limit,
            body=max(1_000_000, 12 * char_limit),  # in JSON a character may take as many bytes
            file=1_000_000 * file_limit,
            queue=queue,
            seconds=timeout,
            file_seconds=10 * timeout,
            connections=connections,
        )
        options = ServeOptions(
            host=host,
            port=port,
            threads=threads,
            memory=None if memory is None else memory * 1_000_000,
            pivots=tuple(pivot),
            beam_size=beam_size,
            limits=limits,
            keys=key_file,
            keys_optional=keys_optional,
            origins=tuple(cors),
            proxies=",".join(proxy),
            page=page,
            metrics=metrics,
            metrics_at=None if metrics_at is None else _address(metrics_at),
            root_path=_root(root_path),
            log=log,
        )
        run(models, options)


def _address(text: str) -> tuple[str, int]:
    """Read an address and a port, as 127.0.0.1:9100 or [::1]:9100."""
    found = re.fullmatch(r"(?:\[([^\[\]]+)\]|([^:\[\]]+)):([0-9]{1,5})", text)
    if found is None or int(found[3]) > _PORTS:
        raise typer.BadParameter(f"--metrics-at: expected an address and a port, such as 127.0.0.1:9100, got {text}")
    return found[1] or found[2], int(found[3])


def _root(text: str) -> str:
    """Read the path under which a proxy shows the service."""
    path = text.rstrip("/")
    if path and not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)+", path):
        raise typer.BadParameter(f"--root-path: expected a path such as /nmt, got {text}")
    return path


@keys.command()
def add(
    file: KeyFile,
    *,
    name: Annotated[str, typer.Option(metavar="TEXT", help="Whose it is.")] = "",
    req_limit: Annotated[
        int | None, within(Bounds(0, 1_000_000), "Requests a minute; 0: any number.  [default: the service's]")
    ] = None,
) -> None:
    """Make a key, and print it; the file, which is made if it is missing, keeps a digest of it."""
    with reporting():
        from nmt.commands.keys import add as run

        run(file, name, req_limit)


@keys.command("list")
def list_(file: KeyFile) -> None:
    """Tell the beginning of each key, whose it is, and its limit."""
    with reporting():
        from nmt.commands.keys import list_ as run

        run(file)


@keys.command()
def remove(
    file: KeyFile, key: Annotated[str, typer.Argument(metavar="KEY", help="The first 8 digits of a key.")]
) -> None:
    """Remove a key; a service takes notice when it is reloaded (SIGHUP)."""
    with reporting():
        from nmt.commands.keys import remove as run

        run(file, key)
