"""Every number that a user can give has bounds, the same on the command line, in the settings and in Python."""

from __future__ import annotations

import math
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import pytest
from click.testing import CliRunner
from typer.main import get_command

from nmt.cli import app
from nmt.config import ConfigError
from nmt.config_file import load_config
from nmt.config_keys import describe
from nmt.values import BATCH_SIZE, BEAM_SIZE, LENGTH_PENALTY, N_BEST, THREADS, Bounds

HOSTILE = ["nan", "-nan", "inf", "-inf", "1e308", "-1", "-1e-300", "400e9", "9" * 30, "-" + "9" * 30, "9" * 5_000, ""]
HOSTILE += ["x", "1_0x", "0x10", "None", "true", "\0", "٣٣٣٣٣٣٣٣٣٣", "1e999"]


class Option(NamedTuple):
    """An option for a number."""

    command: str
    name: str
    least: float | None
    most: float | None


def options() -> list[Option]:
    """Every option for a number of every command."""
    found = []
    for command in app.registered_commands:
        assert command.callback is not None
        for name, hint in get_type_hints(command.callback, include_extras=True).items():
            if get_origin(hint) is Annotated and {int, float} & {hint.__origin__, *get_args(hint.__origin__)}:
                [info] = hint.__metadata__
                called = command.name or command.callback.__name__.replace("_", "-")
                found.append(Option(called, name, info.min, info.max))
    return found


OPTIONS = options()
COMMAND = get_command(app)  # once: it is most of what a call costs


def test_all_options_for_numbers_are_found() -> None:
    assert {each.name for each in OPTIONS} >= {"beam_size", "length_penalty", "batch_size", "threads", "n_best", "last"}


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: f"{option.command}-{option.name}")
def test_an_option_out_of_its_bounds_is_wrong_usage(option: Option, tmp_path: Path) -> None:
    assert option.least is not None
    assert option.most is not None
    for value in [*HOSTILE, str(option.least - 1), str(option.most + 1)]:
        name = f"--{option.name.replace('_', '-')}"
        done = CliRunner().invoke(COMMAND, [option.command, str(tmp_path / "none"), f"{name}={value}"])
        assert (done.exit_code, done.stdout) == (2, ""), (value, done.output)
        assert isinstance(done.exception, SystemExit)
        assert "Error: " in done.stderr
        assert name in done.stderr


NUMBERS = [row for row in describe() if row.type.startswith(("integer", "number"))]


@pytest.mark.parametrize("row", NUMBERS, ids=lambda row: row.key)
def test_a_setting_out_of_its_bounds_is_a_line(row: Any, tmp_path: Path) -> None:
    assert any(sign in row.type for sign in (">= ", "> ")), row.type
    assert any(sign in row.type for sign in ("<= ", "< ")), row.type
    path = tmp_path / "config.toml"
    text = "train = ['a', 'b']\nvalid = ['c', 'd']\n"
    key, section = row.key, "[data]\n"
    if key.startswith("data.corpora."):  # of a list
        key, section = key.replace("corpora", "corpora.0"), "[[data.corpora]]\n"
        text += "source_language = 'en'\ntarget_language = 'de'\n"
    path.write_text(f"folder = 'x'\n{section}{text}")
    for value in [*HOSTILE, "[]", "{}", "'1e999'", "1979-05-27"]:
        said, number = "", 0.0
        try:
            config = load_config(path, [f"{key}={value}"])
            number = attrgetter(row.key)(config) if key == row.key else config.data.corpora[0].weight
        except ConfigError as error:
            said = str(error)
        assert key in said if said else math.isfinite(number)
        assert "\n" not in said


@pytest.mark.parametrize(
    ("key", "bounds"),
    [
        ("decoding.beam_size", BEAM_SIZE),
        ("decoding.length_penalty", LENGTH_PENALTY),
        ("decoding.batch_size", BATCH_SIZE),
        ("training.threads", THREADS),
    ],
)
def test_settings_and_options_have_the_same_bounds(key: str, bounds: Bounds) -> None:
    [row] = [row for row in NUMBERS if row.key == key]
    assert row.type.endswith(f">= {bounds.least}, <= {bounds.most}")
    name = key.partition(".")[2]
    found = {(option.least, option.most) for option in OPTIONS if option.name == name}
    assert found == {(bounds.least, bounds.most)}


@pytest.mark.parametrize("bounds", [BEAM_SIZE, LENGTH_PENALTY, BATCH_SIZE, THREADS, N_BEST], ids=str)
def test_bounds_in_python(bounds: Bounds) -> None:
    for right in (bounds.least, bounds.most):
        assert bounds.check("x", right) is None
    for wrong in (bounds.least - 1, bounds.most + 1, -(10**400), 10**400):
        assert str(bounds.check("x", wrong)).startswith(f"x: expected {bounds}, got ")
    for other in ("1", b"1", None, True, [1], 1j, object()):
        with pytest.raises(TypeError, match=f"x: expected {bounds}, got {type(other).__name__}"):
            bounds.check("x", other)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e308, -1e-300])
def test_what_is_no_finite_number_is_out_of_bounds(value: float) -> None:
    assert "expected a number from 0.0 to 5.0, got" in str(LENGTH_PENALTY.check("x", value))
    with pytest.raises(TypeError):
        BEAM_SIZE.check("x", value)
