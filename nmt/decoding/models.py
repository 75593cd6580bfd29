"""The models that are asked for, ready to translate: folders, files, ensembles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from nmt.data.subwords import Subwords, load_subwords
from nmt.decoding.model_file import open_model_file, set_shortlist
from nmt.decoding.native import PackedNetwork
from nmt.decoding.network import Network
from nmt.extras import MissingError, require_torch
from nmt.languages import same_direction, told_directions
from nmt.model.native import PRECISIONS
from nmt.model_folder.files import ModelError, require_vocabulary
from nmt.process import count_threads
from nmt.values import SHORTLIST

if TYPE_CHECKING:
    from nmt.brief import Settings

SEARCHES: Final = ("native", "reference")
"""How to search: in native code where that can be, or as `beam_search`, which can be read."""


class Models(NamedTuple):
    """What a translator is made of."""

    network: Network
    source: Subwords
    target: Subwords
    config: Settings


def open_models(
    folder: Path | str | Sequence[Path | str],
    threads: int | None,
    device: str,
    precision: str | None,
    search: str,
    shortlist: int,
) -> Models:
    """Read what `Translator.load` is asked for; arguments and errors are the same."""
    if problem := SHORTLIST.check("shortlist", shortlist):
        raise ValueError(problem)
    if isinstance(folder, (Path, str)):
        return _open(Path(folder), count_threads(threads), device, precision, search, shortlist)
    paths = [Path(each) for each in folder]
    if not paths:
        raise ValueError("folder: expected at least one model, got none")
    parts = [_open(path, count_threads(threads), device, precision, search, shortlist) for path in paths]
    first = parts[0]
    for part, path in zip(parts, paths, strict=True):
        for side, mine, its in (("source", part.source, first.source), ("target", part.target, first.target)):
            if mine.serialized != its.serialized:
                raise ModelError(
                    f"{path}: expected the {side} subwords of {paths[0]}, as in every ensemble, got others"
                )
        directions = part.config.data.directions
        if not any(same_direction(one, other) for one in directions for other in first.config.data.directions):
            expected, got = (told_directions(each.config.data.directions) for each in (first, part))
            raise ModelError(
                f"{path}: expected a model for {expected}, as {paths[0]} in an ensemble, got one for {got}"
            )
    return first._replace(network=_join([part.network for part in parts]))


def _join(networks: Sequence[Network]) -> Network:
    """Make an ensemble of networks that were asked for in the same way."""
    packed = [network for network in networks if isinstance(network, PackedNetwork)]
    if len(packed) == len(networks):
        return PackedNetwork.join(packed)
    from nmt.decoding.model_network import ModelNetwork  # noqa: PLC0415

    return ModelNetwork.join([network for network in networks if isinstance(network, ModelNetwork)])


def _open(folder: Path, threads: int, device: str, precision: str | None, search: str, shortlist: int) -> Models:
    for name, value, known in (("precision", precision, PRECISIONS), ("search", search, SEARCHES)):
        if value is not None and value not in known:
            raise ValueError(f"{name}: expected {' or '.join(known)}, got {value!r}")
    if not folder.is_dir():
        return _open_file(folder, threads, device, precision, search, shortlist)
    precision = precision or "float32"
    if search == "reference" and precision != "float32":
        raise ValueError(f"precision: expected float32 with the search reference, got {precision!r}")
    if search == "reference" and shortlist:
        raise ValueError(f"shortlist: expected 0 with the search reference, got {shortlist}")
    network: Network
    if search == "reference" or _is_card(device):
        if shortlist:
            raise ModelError(f"{folder}: a shortlist is for the CPU; expected 0 on the device {device}")
        config, network = _load_for_torch(folder, threads, device, precision, search)
    else:
        config, network = PackedNetwork.load(folder, threads, precision, shortlist)
    source, target = load_subwords(folder, config.data.subword_files)
    require_vocabulary(folder, (source.size, target.size), network.vocabulary_sizes)
    return Models(network, source, target, config)


def _open_file(path: Path, threads: int, device: str, precision: str | None, search: str, shortlist: int) -> Models:
    """Open a model file."""
    found = open_model_file(path)
    if search == "reference" or _is_card(device):
        raise ModelError(f"{path}: a model file is for the CPU and the native search; take its folder")
    if precision not in (None, found.network.precision):
        raise ModelError(f"{path}: precision: expected {found.network.precision}, as the file is, got {precision}")
    if shortlist:
        set_shortlist(found, path)
    return Models(PackedNetwork(found.network, threads, shortlist), found.source, found.target, found.config)


def _is_card(device: str) -> bool:
    """Whether a device is another than the CPU; `auto` is where torch finds one, and without torch the CPU."""
    if device == "cpu":
        return False
    try:
        require_torch(f"device {device}")
    except MissingError:
        if device == "auto":
            return False
        raise
    from nmt.model.device import use_device  # noqa: PLC0415

    return use_device(device).type != "cpu"


def _load_for_torch(folder: Path, threads: int, device: str, precision: str, search: str) -> tuple[Settings, Network]:
    """Read a model folder for a CUDA device, or for the search that can be read."""
    require_torch(f"search {search}")
    from nmt.decoding.model_network import ModelNetwork  # noqa: PLC0415
    from nmt.model.device import DeviceError, use_device  # noqa: PLC0415

    place = use_device(device)  # before the model is read: what is missing is told at once
    if precision != "float32":
        raise DeviceError(f"device {device}: computes in float32; {precision} is for the CPU")
    return ModelNetwork.load(folder, place, threads, reference=search == "reference")
