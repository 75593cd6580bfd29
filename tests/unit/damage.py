"""Ways to damage a model folder, each a function of a folder and a random generator."""

from __future__ import annotations

import json
import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

FILES = ("config.json", "model.safetensors", "joint.spm", "SHA256SUMS")
MODEL = "model.safetensors"
Damage = Callable[[Path, random.Random], None]
JUNK = (
    None,
    True,
    "",
    "x",
    "\x00",
    -1,
    0,
    3.5,
    1e308,
    10**30,
    float("nan"),
    [],
    [[]],
    {},
    {"a": []},
    "${HOME}",
    "é" * 999,
)


def any_file(generator: random.Random) -> str:
    return generator.choice(FILES)


# Damage to the bytes of a file


def flip_bits(folder: Path, generator: random.Random) -> None:
    path = folder / any_file(generator)
    content = bytearray(path.read_bytes())
    for place in generator.sample(range(len(content)), generator.choice([1, 1, 1, 3, 20])):
        content[place] ^= 1 << generator.randrange(8)
    path.write_bytes(content)


def flip_bits_of_text(folder: Path, generator: random.Random) -> None:
    """As `flip_bits`, in the small files, where a byte means most."""
    path = folder / generator.choice(["config.json", "SHA256SUMS"])
    content = bytearray(path.read_bytes())
    content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    path.write_bytes(content)


def cut(folder: Path, generator: random.Random) -> None:
    path = folder / any_file(generator)
    content = path.read_bytes()
    path.write_bytes(content[: generator.randrange(len(content))])


def lengthen(folder: Path, generator: random.Random) -> None:
    path = folder / any_file(generator)
    path.write_bytes(path.read_bytes() + generator.randbytes(generator.randint(1, 50)))


def overwrite(folder: Path, generator: random.Random) -> None:
    path = folder / any_file(generator)
    size = path.stat().st_size
    path.write_bytes(generator.choice([b"", bytes(size), generator.randbytes(size), b"[" * 200_000, b"\xff" * 16]))


def exchange(folder: Path, generator: random.Random) -> None:
    one, other = generator.sample(FILES, 2)
    content = (folder / one).read_bytes()
    (folder / one).write_bytes((folder / other).read_bytes())
    (folder / other).write_bytes(content)


def remove(folder: Path, generator: random.Random) -> None:
    (folder / generator.choice(FILES[:3])).unlink()


def replace_by_folder(folder: Path, generator: random.Random) -> None:
    path = folder / any_file(generator)
    path.unlink()
    path.mkdir()


# Damage to the settings, which stay JSON (or nearly so)


def change_config(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads((folder / "config.json").read_text())
    change(content)
    (folder / "config.json").write_text(json.dumps(content))


def any_place(content: dict[str, Any], generator: random.Random) -> tuple[dict[str, Any], str]:
    section = content
    if generator.random() < 0.9:
        section = content[generator.choice(["data", "model", "training", "decoding"])]
    return section, generator.choice(sorted(section))


def drop_key(folder: Path, generator: random.Random) -> None:
    def change(content: dict[str, Any]) -> None:
        section, key = any_place(content, generator)
        del section[key]

    change_config(folder, change)


def rename_key(folder: Path, generator: random.Random) -> None:
    def change(content: dict[str, Any]) -> None:
        section, key = any_place(content, generator)
        section[generator.choice([key + "s", key.upper(), "", "\ud800", key[::-1]])] = section.pop(key)

    change_config(folder, change)


def change_value(folder: Path, generator: random.Random) -> None:
    def change(content: dict[str, Any]) -> None:
        section, key = any_place(content, generator)
        section[key] = generator.choice(JUNK)

    change_config(folder, change)


def change_size(folder: Path, generator: random.Random) -> None:
    key = generator.choice(["embedding_size", "hidden_size", "encoder_layers", "decoder_layers"])

    def change(content: dict[str, Any]) -> None:
        largest = 32 if key.endswith("layers") else 8192
        content["model"][key] = generator.choice([content["model"][key] + 1, largest, largest + 1, 0, -5])

    change_config(folder, change)


def other_network(folder: Path, generator: random.Random) -> None:
    key, value = generator.choice([("cell", "mi_lstm"), ("attention", "dot"), ("tie_embeddings", False)])
    change_config(folder, lambda content: content["model"].update({key: value}))


def nest(folder: Path, generator: random.Random) -> None:
    depth = generator.choice([500, 5_000, 200_000])
    text = (folder / "config.json").read_text()
    nested = generator.choice(["[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth])
    (folder / "config.json").write_text(text.replace('"lstm"', nested))


def other_version(folder: Path, generator: random.Random) -> None:
    value = generator.choice([2, 0, "1", None, [1], 10**400])
    change_config(folder, lambda content: content.update(format_version=value))


# Damage to the parameters, whose file stays one of tensors (or nearly so)


def read_parts(folder: Path) -> tuple[dict[str, Any], bytes]:
    content = (folder / MODEL).read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def write_parts(folder: Path, header: object, values: bytes, size: int | None = None) -> None:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    (folder / MODEL).write_bytes(struct.pack("<Q", len(text) if size is None else size) + text + values)


def any_tensor(header: dict[str, Any], generator: random.Random) -> str:
    return generator.choice(sorted(header.keys() - {"__metadata__"}))


def drop_tensor(folder: Path, generator: random.Random) -> None:
    header, values = read_parts(folder)
    name = any_tensor(header, generator)
    start, end = header.pop(name)["data_offsets"]
    for tensor in header.values():
        if "data_offsets" in tensor and tensor["data_offsets"][0] >= end:
            tensor["data_offsets"] = [place - (end - start) for place in tensor["data_offsets"]]
    write_parts(folder, header, values[:start] + values[end:])


def rename_tensor(folder: Path, generator: random.Random) -> None:
    header, values = read_parts(folder)
    name = any_tensor(header, generator)
    header[generator.choice([name + "x", "", name.upper(), "é"])] = header.pop(name)
    write_parts(folder, header, values)


def reshape_tensor(folder: Path, generator: random.Random) -> None:
    header, values = read_parts(folder)
    tensor = header[any_tensor(header, generator)]
    shape = tensor["shape"]
    other = [[*shape, 1], [1, *shape], [2**62, 4], [-1], [], [0], [10**9] * 9, shape[::-1]]
    tensor["shape"] = generator.choice([new for new in other if new != shape])
    write_parts(folder, header, values)


def retype_tensor(folder: Path, generator: random.Random) -> None:
    header, values = read_parts(folder)
    header[any_tensor(header, generator)]["dtype"] = generator.choice(["I32", "F16", "F64", "F31", "U32", "", None, 4])
    write_parts(folder, header, values)


def move_tensor(folder: Path, generator: random.Random) -> None:
    header, values = read_parts(folder)
    offsets = header[any_tensor(header, generator)]["data_offsets"]
    offsets[generator.randrange(2)] = generator.choice([0, 4, len(values) + 4, 2**63, -4, 1.5, None])
    write_parts(folder, header, values + bytes(8))


def not_finite(folder: Path, generator: random.Random) -> None:
    header, values = read_parts(folder)
    place = generator.randrange(len(values) // 4)
    value = struct.pack("<f", generator.choice([float("nan"), float("inf"), float("-inf")]))
    write_parts(folder, header, values[: 4 * place] + value + values[4 * place + 4 :])


def other_vocabulary_size(folder: Path, generator: random.Random) -> None:
    header, values = read_parts(folder)
    sizes = [
        "29 29",
        "31 31",
        "30 31",
        "30",
        "",
        "30 30 30",
        "-30 -30",
        "9" * 9 + " " + "9" * 9,
        "9" * 4000,
        "a b",
        "0 0",
    ]
    header["__metadata__"] = {"vocabulary_sizes": generator.choice(sizes)}
    write_parts(folder, header, values)


def other_header(folder: Path, generator: random.Random) -> None:
    header, values = read_parts(folder)
    text = json.dumps(header).encode()
    headers = [
        (text, 2**63),
        (text, 2**40),
        (text, 99_999_999),
        (text, 0),
        (text, len(text) - 1),
        (b"[" * 10_000, None),
    ]
    headers += [(b"{}", None), (b"null", None), (b"\xff" * 50, None), (text[:-1] + b',"x":1}', None)]
    changed, size = generator.choice(headers)
    write_parts(folder, changed, values, size)


# Damage to the subword model


def flip_bits_of_subwords(folder: Path, generator: random.Random) -> None:
    path = folder / "joint.spm"
    content = bytearray(path.read_bytes())
    for _ in range(generator.choice([1, 1, 2, 10])):
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    path.write_bytes(content)


def cut_subwords(folder: Path, generator: random.Random) -> None:
    path = folder / "joint.spm"
    path.write_bytes(path.read_bytes()[: generator.randrange(path.stat().st_size)])


# What is told by the digests; and what is told without them.
BYTES: tuple[Damage, ...] = (
    flip_bits,
    flip_bits_of_text,
    cut,
    lengthen,
    overwrite,
    exchange,
    remove,
    replace_by_folder,
)
CONTENT: tuple[Damage, ...] = (
    change_size,
    other_network,
    nest,
    other_version,
    drop_tensor,
    rename_tensor,
    reshape_tensor,
    retype_tensor,
    move_tensor,
    not_finite,
    other_vocabulary_size,
    other_header,
    cut_subwords,
)
MAY_MEAN_SOMETHING: tuple[Damage, ...] = (
    drop_key,
    rename_key,
    change_value,
    flip_bits,
    flip_bits_of_subwords,
    overwrite,
)
"""Without digests, what comes of these may be a model: one with another dropout, say, or with another weight."""


def copy_model(source: Path, target: Path) -> Path:
    target.mkdir()
    for name in FILES:
        shutil.copyfile(source / name, target / name)
    return target
