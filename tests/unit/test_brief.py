"""The settings that translating takes, read without pydantic: what is read is what is read with it, or nothing."""

import json
import random
import subprocess
import sys
from pathlib import Path

import damage
import pytest

from nmt.brief import BriefSettings, read_brief
from nmt.config import Config, ConfigError
from nmt.config_file import read_config, save_config

MODEL = Path(__file__).parents[1] / "data" / "model-v1"


def assert_same(brief: BriefSettings, config: Config) -> None:
    for name, here, there in (
        *((name, getattr(brief, name), getattr(config, name)) for name in ("lines", "doubtful")),
        *(
            (f"{section}.{name}", getattr(getattr(brief, section), name), getattr(getattr(config, section), name))
            for section in ("data", "model", "decoding")
            for name in getattr(brief, section)._fields
        ),
    ):
        assert (name, here, type(here)) == (name, there, type(there))
    assert brief.data.subword_files == config.data.subword_files


def test_of_the_first_version() -> None:
    brief = read_brief(MODEL / "config.json")
    assert brief is not None
    assert_same(brief, read_config(MODEL / "config.json"))


def test_of_this_version(tmp_path: Path) -> None:
    config = read_config(MODEL / "config.json").model_copy(update={"doubtful": -1.5, "lines": "texts"})
    save_config(config, tmp_path / "config.json")
    brief = read_brief(tmp_path / "config.json")
    assert brief is not None
    assert_same(brief, config)


@pytest.mark.parametrize("harm", [damage.drop_key, damage.rename_key, damage.change_value, damage.other_version])
def test_what_is_changed_is_read_alike_or_not_at_all(tmp_path: Path, harm: damage.Damage) -> None:
    read = 0
    for seed in range(60):
        folder = damage.copy_model(MODEL, tmp_path / f"{harm.__name__}-{seed}")
        harm(folder, random.Random(seed))
        brief = read_brief(folder / "config.json")
        try:
            config = read_config(folder / "config.json")
        except ConfigError:
            pass  # where digests match, what is wrong with other settings does not matter
        else:
            read += brief is not None
            assert brief is None or assert_same(brief, config) is None
    assert read or harm in (damage.rename_key, damage.other_version)


WRONG = {
    "data": {"max_length": [0, 1.0, "5", True, None, 10_001], "joint_vocabulary": [1, None], "source_language": [3]},
    "model": {"cell": ["rnn", None, []], "zoneout": [1.0, -0.1, "0"], "hidden_size": [0, 8193, 2.0], "attention": [{}]},
    "decoding": {"max_length_factor": [0.0, 2, 1e9, float("nan")], "beam_size": [0, True, 1001], "retry": [0]},
}


@pytest.mark.parametrize(("section", "name"), [(section, name) for section in WRONG for name in WRONG[section]])
def test_what_is_not_plainly_right_is_not_read(tmp_path: Path, section: str, name: str) -> None:
    for value in WRONG[section][name]:
        content = json.loads((MODEL / "config.json").read_text())
        content[section][name] = value
        (tmp_path / "config.json").write_text(json.dumps(content))
        assert read_brief(tmp_path / "config.json") is None, value


@pytest.mark.parametrize("content", ["", "[]", "null", "{}", "[" * 5000, '{"format_version": 1, "data": []}'])
def test_what_is_no_settings_is_not_read(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    assert read_brief(tmp_path / "config.json") is None
    assert read_brief(tmp_path / "nowhere") is None


def test_a_translation_imports_little() -> None:
    """What takes longer to import than a sentence takes."""
    heavy = {"torch", "numpy", "pydantic", "typer", "rich", "click", "safetensors", "sacrebleu"}
    code = (
        "import sys; from nmt.main import main\n"
        f"sys.argv = ['nmt', 'translate', {str(MODEL)!r}, '--status']; main()\n"
        f"print(sorted({heavy!r} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], input="red\n", capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1:] == ["[]"]
