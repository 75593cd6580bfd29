"""What a call will need, before anything is allocated: memory by buffer, tiles of work, predicted time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from rnn_engine import native
from rnn_engine.spec import MEMORY_POLICIES, Memory, StackSpec, parse_device


class HasSpec(Protocol):
    """A layer of `rnn_engine.nn`, or anything else with a stack's description."""

    spec: StackSpec


@dataclass(frozen=True)
class Buffer:
    """One piece of an arena.

    Attributes:
        name: What it holds.
        arena: "reserve": lives from forward to backward. "workspace": lives inside one call.
        layer: Layer that it belongs to, or -1: all.
        direction: The same.
        offset: Bytes from the beginning of its arena.
        bytes: Size.
        first: Index of the first tile that uses it.
        last: Index of the last.
    """

    name: str
    arena: str
    layer: int
    direction: int
    offset: int
    bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Tile:
    """One piece of work: a layer and direction over steps [begin, end) in the order of computation.

    Attributes:
        kind: "forward"; "replay", the same again inside backward, from a checkpoint; "backward". Of layers that are
            stored, "weight gradients" and "input gradient" are tiles of their own; of others, part of "backward".
        layer: Index of the layer.
        direction: 0, or 1 for the reverse direction.
        begin: First step.
        end: Step after the last.
        inputs: Indices of the tiles that must have run: those whose results it reads and, where tiles run side by side,
            those whose part of workspace it takes over.
    """

    kind: str
    layer: int
    direction: int
    begin: int
    end: int
    inputs: tuple[int, ...]


_MOST_DRAWN = 500  # tiles whose edges can be told apart
_KINDS = ("forward", "replay", "backward", "weight gradients", "input gradient")


class Plan:
    """A plan, made by `plan`.

    Attributes:
        spec: The stack.
        reserve_bytes: Bytes that live from forward to backward, beside inputs and outputs.
        workspace_bytes: Bytes that live inside one call: the larger of the two calls' needs.
        peak_bytes: Both together: the engine's memory at its peak, beside inputs, outputs and gradients.
        policies: What each layer keeps: "store", "recompute" or "checkpoint".
        steps: K: steps of a backward tile, and between kept states.
        groups: Groups of threads that run tiles side by side; 1: all threads together run tile after tile.
        seconds: Predicted time of forward, and backward in training.
    """

    def __init__(self, spec: StackSpec, native_plan: native.Plan, description: str) -> None:
        self.spec = spec
        self.reserve_bytes = native_plan.reserve_bytes
        self.workspace_bytes = native_plan.workspace_bytes
        self.peak_bytes = self.reserve_bytes + self.workspace_bytes
        self.policies = tuple(MEMORY_POLICIES[policy] for policy in native_plan.policies())
        self.steps = native_plan.steps
        self.groups = native_plan.groups
        self.seconds = native_plan.seconds
        self._native = native_plan
        self._description = description

    def __repr__(self) -> str:
        kept = f"{_mib(self.reserve_bytes)} kept + {_mib(self.workspace_bytes)} in a call"
        return f"<Plan: {self._description}: {kept}, {1e3 * self.seconds:.1f} ms>"

    @cached_property
    def buffers(self) -> tuple[Buffer, ...]:
        """All buffers of both arenas."""
        return tuple(Buffer(*row) for row in self._native.buffers())

    @cached_property
    def tiles(self) -> tuple[Tile, ...]:
        """All tiles, in the order in which they run with one group, and in which they may run with more."""
        rows = (self._native.tile(index) for index in range(self._native.tile_count))
        return tuple(
            Tile(_KINDS[kind], layer, direction, begin, end, tuple(inputs))
            for kind, layer, direction, begin, end, inputs in rows
        )

    def explain(self) -> str:
        """A table of the memory by tensor, the policies, the extra work and the predicted time.

        Kept buffers add up. Of workspace, whose buffers share memory when they never live at the same time, the table
        shows those that live when most is in use.
        """
        lines = [self._description]
        reserve = [buffer for buffer in self.buffers if buffer.arena == "reserve"]
        lines += _table(f"kept from forward to backward: {_mib(self.reserve_bytes)}", reserve)
        workspace = [buffer for buffer in self.buffers if buffer.arena == "workspace"]
        alive = max(
            ([b for b in workspace if b.first <= tile <= b.last] for tile in {b.first for b in workspace}),
            key=lambda buffers: sum(b.bytes for b in buffers),
            default=[],
        )
        lines += _table(f"workspace inside a call: {_mib(self.workspace_bytes)}", alive)
        lines.append(f"both: {_mib(self.peak_bytes)}")
        kinds = [_KINDS[kind] for kind in self._native.kinds()]
        lines.append("tiles: " + ", ".join(f"{kinds.count(kind)} {kind}" for kind in _KINDS if kind in kinds))
        lines.append(
            "order: as listed, each by all threads"
            if self.groups == 1
            else f"order: by {self.groups} groups of threads or streams side by side, a tile when its inputs are there"
        )
        if "backward" in kinds:
            again = sum(policy != "store" for policy in self.policies)
            lines.append(f"policy by layer: {', '.join(self.policies)}; K = {self.steps} steps")
            lines.append(f"computed twice: the forward products of {again} of {self.spec.num_layers} layers")
        lines.append(f"predicted time: {1e3 * self.seconds:.1f} ms")
        return "\n".join(lines)

    def plot(self, path: str | Path) -> None:
        """Draws the tiles of each layer in their order, and the buffers over tiles and memory.

        With one group of threads tiles run one after the other, and the horizontal axis is time. With more, a tile runs
        once those that it waits for have; lines lead from them to it.

        Args:
            path: File to write, .svg or .png.

        Raises:
            ValueError: The suffix is neither.
            ImportError: matplotlib is not installed.
        """
        path = Path(path)
        if path.suffix not in (".svg", ".png"):
            raise ValueError(f"path: expected .svg or .png, got {path.name}")
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle

        figure = Figure(figsize=(11, 7), layout="constrained")
        heights = [max(1, self.reserve_bytes), self.workspace_bytes]
        axes: Any = figure.subplots(3, 1, sharex=True, height_ratios=[sum(heights) / 3, *heights])
        self._plot_tiles(axes[0])
        for axis, arena, size in zip(
            axes[1:], ("reserve", "workspace"), (self.reserve_bytes, self.workspace_bytes), strict=True
        ):
            for buffer in self.buffers:
                if buffer.arena != arena:
                    continue
                color = f"C{buffer.layer % 9}" if buffer.layer >= 0 else "0.75"
                corner = (buffer.first, buffer.offset / 2**20)
                extent = (buffer.last - buffer.first + 1, buffer.bytes / 2**20)
                axis.add_patch(Rectangle(corner, *extent, facecolor=color, edgecolor="white", linewidth=0.5))
                if buffer.bytes > size / 25:
                    axis.text(corner[0] + extent[0] / 2, corner[1] + extent[1] / 2, buffer.name,
                              ha="center", va="center", fontsize=6, clip_on=True)  # fmt: skip
            axis.set_xlim(0, len(self.tiles))
            axis.set_ylim(0, max(1, size) / 2**20)
            axis.set_ylabel(f"{arena}, MiB")
        axes[-1].set_xlabel("tile; colours are layers, grey is shared")
        figure.savefig(path)

    def _plot_tiles(self, axis: Any) -> None:
        """Tiles by pseudo-layer and number; with groups of threads, the edges of the graph too."""

        def height(tile: Tile) -> float:
            return tile.layer + 0.5 * tile.direction + 0.12 * _KINDS.index(tile.kind)

        heights, places = [height(tile) for tile in self.tiles], list(range(len(self.tiles)))
        colors = [f"C{tile.layer % 9}" for tile in self.tiles]
        axis.hlines(heights, places, [place + 1 for place in places], colors=colors, linewidth=3)
        for index, tile in enumerate(self.tiles):
            for before in tile.inputs if self.groups > 1 and len(self.tiles) <= _MOST_DRAWN else ():
                axis.plot([before + 1, index], [heights[before], heights[index]], color="0.8", linewidth=0.5, zorder=0)
        axis.set_yticks(range(self.spec.num_layers))
        axis.set_ylabel(f"layer; {self.groups} group{'s' if self.groups > 1 else ''}")


def _table(title: str, buffers: Sequence[Buffer]) -> list[str]:
    sums: dict[str, list[int]] = {}
    for buffer in buffers:
        sums.setdefault(buffer.name, []).append(buffer.bytes)
    rows = sorted(((sum(sizes), name, len(sizes)) for name, sizes in sums.items()), reverse=True)
    return [title] + [
        f"  {_mib(total):>14}  {name}{f' ({count} buffers)' if count > 1 else ''}" for total, name, count in rows
    ]


def _mib(size: int) -> str:
    return f"{size / 2**20:,.2f} MiB"


def plan(
    stack: StackSpec | HasSpec,
    *,
    steps: int | None = None,
    batch: int | None = None,
    lengths: Sequence[int] | None = None,
    memory: str | int | Memory = "store",
    schedule: str = "auto",
    training: bool = True,
    dtype: str = "float32",
    dropout: float | None = None,
    output: bool = True,
    input_gradient: bool = True,
    threads: int | None = None,
    isa: str | None = None,
    device: str = "cpu",
) -> Plan:
    """Plans a call without allocating any of its memory.

    Args:
        stack: A layer, or its spec.
        steps: T, with `batch`.
        batch: B.
        lengths: In their place, the steps of each sequence.
        memory: As for a layer.
        schedule: The same.
        training: Whether backward follows.
        dtype: "float32", "float64", "bfloat16" or, on CUDA, "float16".
        dropout: Probability between layers; the stack's own if None.
        output: False: only the last states are wanted (forward only).
        input_gradient: Whether backward will be asked for the input's gradient; its memory then serves as workspace.
        threads: CPU threads; all cores that the process may use if None.
        isa: Instruction set; the machine's best if None.
        device: "cpu", or "cuda:0" and so on.

    Returns:
        The plan. Its predicted time rests on a calibration that takes some tens of milliseconds, once for each number
        of threads and dtype.

    Raises:
        ValueError: A size is out of bounds, or the budget too small; the message says the least that would do, and a
            batch that would fit.
        EngineError: The device cannot be used.
    """
    spec = stack if isinstance(stack, StackSpec) else stack.spec
    if (lengths is None) == (steps is None or batch is None):
        raise ValueError("steps and batch, or lengths: expected exactly one of them")
    sizes: list[int] | None = None
    if lengths is not None:
        ordered = sorted(lengths, reverse=True)
        if not ordered or ordered[-1] < 1:
            raise ValueError(f"lengths: expected at least one, each at least 1, got {list(lengths)}")
        steps, batch = ordered[0], len(ordered)
        sizes = [0] * steps
        for length in ordered:
            sizes[length - 1] += 1
        for t in range(steps - 2, -1, -1):
            sizes[t] += sizes[t + 1]
    assert steps is not None
    assert batch is not None
    settings = Memory.parse(memory)
    index = parse_device(device)
    context = native.context(threads or native.cpu_count(), isa) if index is None else native.cuda_context(index)
    options = native.Options(
        training=training,
        output=output,
        input_gradient=input_gradient and training,
        dropout=(spec.dropout if dropout is None else dropout) if training else 0.0,
        recurrent_dropout=spec.recurrent_dropout if training else 0.0,
        zoneout_masks=training,
        memory=settings,
        schedule=schedule,
    )
    context.calibrate(native.DTYPES[dtype])
    wanted = f"{settings.budget:,} bytes" if settings.policy == "budget" else settings.policy
    purpose = f"training, memory {wanted}" if training else "forward only"
    rows = steps * batch if sizes is None else sum(sizes)
    description = (
        f"{spec.describe()}, T={steps} B={batch} ({rows} rows), {dtype}, {purpose}, "
        f"{f'{context.threads} threads' if index is None else device}, {context.isa}"
    )
    planned = native.plan(context, spec, dtype, steps, batch, None if sizes is None else tuple(sizes), options)
    return Plan(spec, planned, description)
