"""A model in every form that it may be translated with, and settings with another network."""

from collections.abc import Sequence
from pathlib import Path

from nmt.commands import export
from nmt.config import Config
from nmt.decoding.translator import Translator
from nmt.evaluation import score


def with_model(config: Config, **model: object) -> Config:
    """The same settings, checked anew, but for some of the network's."""
    return Config.model_validate(config.model_dump() | {"model": config.model.model_dump() | model})


def check_every_form(folder: Path, pairs: Sequence[tuple[str, str]], file: Path) -> None:
    """Translate what a model has learned by its folder, rounded, exported to `file`, and by both together."""
    sources, targets = ([pair[side] for pair in pairs] for side in (0, 1))
    export.run(folder, file, "int8")
    for model, settings in (
        (folder, {}),
        (folder, {"precision": "int8"}),
        (folder, {"precision": "bfloat16"}),
        (folder, {"search": "reference"}),
        (file, {}),
        ([folder, file], {}),
    ):
        translator = Translator.load(model, threads=1, **settings)
        assert score(translator.translate(sources, beam_size=2), targets).bleu > 98, (model, settings)
