"""torch's threads leave the cores to the engine's, unless the environment says otherwise."""

import os
import subprocess
import sys

import pytest

from nmt.process import rest_while_waiting


def test_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "")
    monkeypatch.delenv("OMP_WAIT_POLICY")
    rest_while_waiting()
    shown = subprocess.run(
        [sys.executable, "-c", "import os; print(os.environ['OMP_WAIT_POLICY'])"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stdout.strip() == "passive"


def test_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    rest_while_waiting()
    assert os.environ["OMP_WAIT_POLICY"] == "active"


def test_command_rests_before_it_imports_anything() -> None:
    code = """
import os, sys
from nmt import main
sys.argv = ["nmt", "--version"]
main.at_home = lambda word: print(os.environ["OMP_WAIT_POLICY"], "torch" in sys.modules) or word
main.main()
"""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    shown = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert shown.stdout.splitlines()[0] == "passive False"
