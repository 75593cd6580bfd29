"""Programs that need not import torch, for shells to start: a server forks a copy of this process for each.

Importing takes a command longer than all that the tests' small networks do.
"""

from __future__ import annotations

import json
import os
import runpy
import select
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from commands import become_program

from nmt.cli import main

CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    asked = {{"folder": os.getcwd(), "arguments": sys.argv, "environment": dict(os.environ)}}
    socket.send_fds(server, [b"+"], [0, 1, 2])
    server.sendall(json.dumps(asked).encode())
    server.shutdown(socket.SHUT_WR)
    code = int(server.recv(8) or "99")
if code < 0:  # a signal ended it
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


@contextmanager
def warm_programs() -> Iterator[Path]:
    """A folder with the programs `nmt` and `python`, which work as long as the context does.

    Processes that they start by `sys.executable` are of this kind, too.
    """
    with TemporaryDirectory(prefix="warm") as folder, socket.socket(socket.AF_UNIX) as listener:
        address = f"{folder}/socket"
        listener.bind(address)
        listener.listen()
        for name in ("nmt", "python"):
            program = Path(folder, name)
            program.write_text(CLIENT.format(python=sys.executable, address=address))
            program.chmod(0o755)
        end, alive = os.pipe()  # ends when this process does
        server = os.fork()
        if not server:
            os.close(alive)
            become_program(lambda: serve(listener, end))
        os.close(end)
        try:
            yield Path(folder)
        finally:
            os.kill(server, signal.SIGKILL)
            os.waitpid(server, 0)
            os.close(alive)


def serve(listener: socket.socket, end: int) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    while True:
        if end in select.select([listener, end], [], [])[0]:
            return
        connection, _ = listener.accept()
        with connection:
            if os.fork():
                continue
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            answer(connection)


def answer(connection: socket.socket) -> None:
    """Let the program run that a client asks for, and tell how it ended: the exit code, or minus the signal."""
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    asked = json.loads(b"".join(iter(lambda: connection.recv(1 << 16), b"")))
    program = os.fork()
    if not program:
        connection.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(asked["folder"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        program_path = Path(asked["arguments"][0])
        sys.executable, sys.argv = str(program_path.with_name("python")), asked["arguments"]
        become_program(main if program_path.name == "nmt" else run_python)
    for stream in streams:
        os.close(stream)
    code = os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    connection.sendall(str(code).encode())
    os._exit(0)


def run_python() -> None:
    """What Python does with `sys.argv`: `python -c CODE`, `python -P -m MODULE ...` or `python FILE ...`."""
    if sys.argv[1] == "-P":  # what is imported already comes from no folder
        del sys.argv[1]
    option, rest = sys.argv[1], sys.argv[2:]
    if option == "-c":
        sys.argv = ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    elif option == "-m":
        sys.argv = rest
        sys.modules.pop(rest[0], None)  # it may have been imported, and is run now
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [option, *rest]
        sys.path.insert(0, str(Path(option).resolve().parent))
        runpy.run_path(option, run_name="__main__")
