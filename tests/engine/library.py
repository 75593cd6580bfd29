"""One case through any library with the engine's C API, by ctypes. Memory that a call is to write is NaN before, and
behind every buffer lies a red zone that nobody may touch."""

import ctypes
from ctypes import POINTER, Structure, byref, c_char_p, c_double, c_int32, c_int64, c_uint64, c_void_p

import torch
from running import SEED, results
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnn_engine.nn.states import shaped_states
from rnn_engine.spec import CELLS

DTYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2, torch.float16: 3}
MEMORY = {"store": 0, "recompute": 1, "checkpoint": 2}
RED_ZONE = 256


def structure(name, *fields):
    return type(name, (Structure,), {"_fields_": [(field, kind) for names, kind in fields for field in names.split()]})


Problem = structure(
    "Problem",
    ("cell dtype", c_int32),
    ("steps batch input_size", c_int64),
    ("hidden_sizes", POINTER(c_int64)),
    ("layers projection", c_int64),
    ("directions bias training output cell_output input_gradient prepacked", c_int32),
    ("batch_sizes", POINTER(c_int64)),
    ("dropout recurrent_dropout", c_double),
    ("zoneout", c_double * 2),
    ("zoneout_masks", c_int32),
    ("seed", c_uint64),
    ("row_ids", POINTER(c_int64)),
    ("memory", c_int32),
    ("budget", c_uint64),
    ("schedule tf32", c_int32),
)
Sizes = structure("Sizes", ("kept scratch forward_scratch backward_scratch", c_uint64))
Weights = structure("Weights", ("weight_ih weight_hh bias_ih bias_hh weight_hr", c_void_p), ("extra", c_void_p * 8))
Forward = structure(
    "Forward", ("weights", POINTER(Weights)), ("packed x h0 c0 y cy hn cn kept scratch stream", c_void_p)
)
Backward = structure(
    "Backward",
    ("weights", POINTER(Weights)),
    ("x h0 c0 y dy dcy dhn dcn dx dh0 dc0", c_void_p),
    ("gradients", POINTER(Weights)),
    ("overwrite", c_int32),
    ("kept scratch stream", c_void_p),
)


class Library:
    """A loaded library and a context of its device 0."""

    def __init__(self, path):
        self.raw = ctypes.CDLL(str(path), mode=ctypes.RTLD_LOCAL)
        self.raw.rnn_engine_last_error.restype = c_char_p
        self.raw.rnn_engine_context_isa.restype = c_char_p
        self.raw.rnn_engine_plan_sizes.restype = Sizes
        for name in ("context_isa", "plan_sizes", "plan_destroy"):
            getattr(self.raw, f"rnn_engine_{name}").argtypes = [c_void_p]
        self.context = c_void_p()
        self.check(self.raw.rnn_engine_cuda_context_create(0, byref(self.context)))

    def check(self, code):
        if code:
            message = self.raw.rnn_engine_last_error().decode()
            raise ValueError(message) if code == 1 else RuntimeError(message)


class Guarded:
    """Tensors of NaN with red zones behind them; the tensors live as long as this does."""

    def __init__(self):
        self._blocks = []

    def new(self, count, dtype, zeros=False):
        size = torch.empty((), dtype=dtype).element_size()
        block = torch.full((count * size + RED_ZONE + 64,), 0xFF, dtype=torch.uint8)
        start = -block.data_ptr() % 64
        tensor = block[start : start + count * size].view(dtype)
        if zeros:
            tensor.zero_()
        self._blocks.append((block, start + count * size))
        return tensor

    def check(self):
        assert all(bool((block[end:] == 0xFF).all()) for block, end in self._blocks), "written beyond a buffer"


def pointer(tensor):
    return None if tensor is None else c_void_p(tensor.data_ptr())


def lanes_of(spec, parameters):
    lanes = (Weights * spec.lanes)()
    for lane in range(spec.lanes):
        tensors = [parameters.get(name) for name in spec.lane_parameters(lane)]
        fields = [name for name, _ in Weights._fields_[:5]]
        for field, tensor in zip(fields, tensors[:5], strict=True):
            setattr(lanes[lane], field, pointer(tensor))
        for index, tensor in enumerate(tensors[5:]):
            lanes[lane].extra[index] = pointer(tensor)
    return lanes


def run_library(library, case, arrays, dtype, *, memory="store", budget=0, seed=SEED, tf32=False, overwrite=True):
    """The same results as `running.run_engine`, of float32 where vectors, sums and gradients are."""
    spec, guarded = case.spec, Guarded()
    value = torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype
    lengths = torch.tensor(arrays.lengths if arrays.lengths is not None else [case.T] * case.B)
    dense = torch.tensor(arrays.x, dtype=dtype)
    packed = pack_padded_sequence(dense, lengths, enforce_sorted=False)
    order, original = packed.sorted_indices, packed.unsorted_indices
    rows = packed.data.shape[0]

    def gather(array, kind):
        return pack_padded_sequence(torch.tensor(array, dtype=kind), lengths, enforce_sorted=False).data.contiguous()

    def flat(states, kind):
        pieces = states if isinstance(states, tuple) else (states,)
        return torch.cat([torch.tensor(p, dtype=kind).index_select(1, order).reshape(-1) for p in pieces])

    parameters = {
        name: torch.tensor(p, dtype=value if len(p.shape) == 1 else dtype) for name, p in arrays.parameters.items()
    }
    hidden = (c_int64 * case.L)(*spec.hidden_sizes)
    sizes = (c_int64 * len(packed.batch_sizes))(*packed.batch_sizes.tolist())
    ids = (c_int64 * case.B)(*order.tolist())
    problem = Problem(
        cell=CELLS[case.cell].index,
        dtype=DTYPES[dtype],
        steps=len(packed.batch_sizes),
        batch=case.B,
        input_size=case.I,
        hidden_sizes=hidden,
        layers=case.L,
        projection=case.P,
        directions=spec.directions,
        bias=case.bias,
        training=1,
        output=1,
        cell_output=case.cells,
        input_gradient=1,
        batch_sizes=None if arrays.lengths is None else sizes,
        dropout=case.dropout,
        recurrent_dropout=case.recurrent_dropout,
        zoneout=(c_double * 2)(*case.zoneout),
        zoneout_masks=any(case.zoneout),
        seed=seed,
        row_ids=ids,
        memory=3 if budget else MEMORY[memory],
        budget=budget,
        tf32=tf32,
    )
    plan = c_void_p()
    library.check(library.raw.rnn_engine_plan_create(library.context, byref(problem), byref(plan)))
    planned = library.raw.rnn_engine_plan_sizes(plan)
    kept, scratch = (guarded.new(count, torch.uint8) for count in (planned.kept, planned.forward_scratch))
    x = packed.data.contiguous()
    h0, c0 = flat(arrays.h0, dtype), flat(arrays.c0, value)
    y = guarded.new(rows * spec.output_size, dtype)
    cy = guarded.new(rows * spec.directions * spec.hidden_sizes[-1], value) if case.cells else None
    hn, cn = guarded.new(h0.numel(), dtype), guarded.new(c0.numel(), value)
    lanes = lanes_of(spec, parameters)
    forward = Forward(
        weights=lanes, x=pointer(x), h0=pointer(h0) if case.states else None, c0=pointer(c0) if case.states else None,
        y=pointer(y), cy=pointer(cy), hn=pointer(hn), cn=pointer(cn), kept=pointer(kept), scratch=pointer(scratch),
    )  # fmt: skip
    library.check(library.raw.rnn_engine_forward(plan, byref(forward)))
    guarded.check()
    gradients = {name: guarded.new(p.numel(), value, zeros=not overwrite) for name, p in parameters.items()}
    dx, dh0, dc0 = guarded.new(x.numel(), dtype), guarded.new(h0.numel(), dtype), guarded.new(c0.numel(), value)
    scratch = guarded.new(planned.backward_scratch, torch.uint8)
    dy = gather(arrays.dy, dtype)
    dcy = gather(arrays.dcells, value) if case.cells else None
    dhn, dcn = flat(arrays.dhn, dtype), flat(arrays.dcn, value)
    backward = Backward(
        weights=lanes, x=pointer(x), h0=forward.h0, c0=forward.c0, y=pointer(y), dy=pointer(dy), dcy=pointer(dcy),
        dhn=pointer(dhn), dcn=pointer(dcn), dx=pointer(dx), dh0=pointer(dh0), dc0=pointer(dc0),
        gradients=lanes_of(spec, gradients), overwrite=overwrite, kept=pointer(kept), scratch=pointer(scratch),
    )  # fmt: skip
    library.check(library.raw.rnn_engine_backward(plan, byref(backward)))
    guarded.check()
    library.raw.rnn_engine_plan_destroy(plan)

    def padded(data, width):
        return pad_packed_sequence(packed._replace(data=data.view(rows, width)), total_length=case.T)[0]

    outputs = (
        padded(y, spec.output_size),
        padded(cy, spec.directions * spec.hidden_sizes[-1]) if case.cells else None,
        *shaped_states(spec, hn, cn, case.B, original),
    )
    found = (padded(dx, case.I), *shaped_states(spec, dh0, dc0, case.B, original))
    return results(case, outputs, found, {name: gradients[name].view(p.shape) for name, p in parameters.items()})
