"""One case through any library with the engine's C API, by ctypes. Memory that a call is to write is NaN before, and
behind every buffer lies a red zone that nobody may touch."""

import ctypes
from ctypes import POINTER, Structure, byref, c_char_p, c_double, c_int32, c_int64, c_uint64, c_void_p

import torch
from running import SEED, results, shaped_states
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

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
    ("memory", c_int32),
    ("budget", c_uint64),
    ("schedule tf32 residual dropout_per_sentence", c_int32),
)
Facts = structure("Facts", ("steps", c_int64), ("seconds", c_double), ("tiles layers groups", c_int64))
Sizes = structure("Sizes", ("reserve workspace forward_workspace backward_workspace packed", c_uint64))
Weights = structure(
    "Weights", ("weight_ih weight_hh bias_ih bias_hh weight_hr", c_void_p), ("vector_params", c_void_p * 8)
)
Masks = structure("Masks", ("seed", c_uint64), ("row_ids", POINTER(c_int64)))
Forward = structure(
    "Forward",
    ("weights", POINTER(Weights)),
    ("packed x h0 c0 y cy hn cn", c_void_p),
    ("masks", Masks),
    ("reserve workspace stream before_step before_step_user", c_void_p),
)
Backward = structure(
    "Backward",
    ("weights", POINTER(Weights)),
    ("x h0 c0 y dy dcy dhn dcn dx dh0 dc0", c_void_p),
    ("gradients", POINTER(Weights)),
    ("overwrite", c_int32),
    ("masks", Masks),
    ("reserve workspace stream before_step before_step_user", c_void_p),
)


class Library:
    """A loaded library and a context of its device 0."""

    def __init__(self, path):
        self.raw = ctypes.CDLL(str(path), mode=ctypes.RTLD_LOCAL)
        self.raw.rnn_engine_last_error.restype = c_char_p
        self.raw.rnn_engine_plan_destroy.argtypes = [c_void_p]
        self.context = c_void_p()
        self.check(self.raw.rnn_engine_cuda_context_create(0, byref(self.context)))

    def check(self, code):
        if code:
            message = self.raw.rnn_engine_last_error().decode()
            raise ValueError(message) if code == 1 else RuntimeError(message)

    def ask(self, getter, handle, answer):
        """Let a getter write to `answer`, which is returned."""
        self.check(getattr(self.raw, f"rnn_engine_{getter}")(handle, byref(answer)))
        return answer

    def graphs(self):
        return self.ask("cuda_graphs", self.context, c_int64()).value


class Guarded:
    """Tensors of NaN with red zones behind them; the tensors live as long as this does."""

    def __init__(self):
        self._blocks = []

    def new(self, count, dtype, fill=None):
        size = torch.empty((), dtype=dtype).element_size()
        block = torch.full((count * size + RED_ZONE + 64,), 0xFF, dtype=torch.uint8)
        start = -block.data_ptr() % 64
        tensor = block[start : start + count * size].view(dtype)
        if fill is not None:
            tensor.fill_(fill)
        self._blocks.append((block, start + count * size))
        return tensor

    def check(self):
        assert all(bool((block[end:] == 0xFF).all()) for block, end in self._blocks), "written beyond a buffer"


def pointer(tensor):
    return None if tensor is None else c_void_p(tensor.data_ptr())


def pseudo_layers_of(spec, parameters):
    pseudo_layers = (Weights * spec.pseudo_layers)()
    for pseudo_layer in range(spec.pseudo_layers):
        tensors = [parameters.get(name) for name in spec.pseudo_layer_parameters(pseudo_layer)]
        fields = [name for name, _ in Weights._fields_[:5]]
        for field, tensor in zip(fields, tensors[:5], strict=True):
            setattr(pseudo_layers[pseudo_layer], field, pointer(tensor))
        for index, tensor in enumerate(tensors[5:]):
            pseudo_layers[pseudo_layer].vector_params[index] = pointer(tensor)
    return pseudo_layers


class Stack:
    """A case, planned: its problem, and its inputs as tensors in the engine's order of rows."""

    def __init__(self, library, case, arrays, dtype, *, memory="store", budget=0, seed=SEED, output=1, **settings):
        self.library, self.case, self.dtype, self.guarded = library, case, dtype, Guarded()
        self.value = torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype
        self.lengths = torch.tensor(arrays.lengths if arrays.lengths is not None else [case.T] * case.B)
        self.packed = pack_padded_sequence(torch.tensor(arrays.x, dtype=dtype), self.lengths, enforce_sorted=False)
        self.rows = self.packed.data.shape[0]
        spec, sizes, order = case.spec, self.packed.batch_sizes.tolist(), self.packed.sorted_indices.tolist()
        self.parameters = {
            name: torch.tensor(p, dtype=self.value if p.ndim == 1 else dtype) for name, p in arrays.parameters.items()
        }
        self.pseudo_layers = pseudo_layers_of(spec, self.parameters)
        self.problem = Problem(
            cell=CELLS[case.cell].index,
            dtype=DTYPES[dtype],
            steps=len(sizes),
            batch=case.B,
            input_size=case.I,
            hidden_sizes=(c_int64 * case.L)(*spec.hidden_sizes),
            layers=case.L,
            projection=case.P,
            directions=spec.directions,
            bias=case.bias,
            output=output,
            cell_output=case.cells,
            batch_sizes=None if arrays.lengths is None else (c_int64 * len(sizes))(*sizes),
            dropout=case.dropout,
            recurrent_dropout=case.recurrent_dropout,
            zoneout=(c_double * 2)(*case.zoneout),
            zoneout_masks=any(case.zoneout),
            residual=case.residual,
            dropout_per_sentence=case.dropout_mask == "sentence",
            memory=3 if budget else MEMORY[memory],
            budget=budget,
            **settings,
        )
        self.masks = Masks(seed, (c_int64 * case.B)(*order))
        self.plan = c_void_p()
        library.check(library.raw.rnn_engine_plan_create(library.context, byref(self.problem), byref(self.plan)))
        self.sizes = library.ask("plan_sizes", self.plan, Sizes())
        self.x = self.packed.data.contiguous()
        self.h0, self.c0 = self.flat(arrays.h0, dtype), self.flat(arrays.c0, self.value)
        self.first = (self.h0, self.c0) if case.states else (None, None)

    def __del__(self):
        self.library.raw.rnn_engine_plan_destroy(self.plan)

    def flat(self, states, dtype):
        pieces = states if isinstance(states, tuple) else (states,)
        order = self.packed.sorted_indices
        return torch.cat([torch.tensor(p, dtype=dtype).index_select(1, order).reshape(-1) for p in pieces])

    def gathered(self, array, dtype):
        tensor = torch.tensor(array, dtype=dtype)
        return pack_padded_sequence(tensor, self.lengths, enforce_sorted=False).data.contiguous()

    def padded(self, data, width):
        rows = self.packed._replace(data=data.view(self.rows, width))
        return pad_packed_sequence(rows, total_length=self.case.T)[0]

    def shaped(self, h, c):
        return shaped_states(self.case.spec, h, c, self.case.B, self.packed.unsorted_indices)

    def forward(self):
        """Leaves y, cy and reserve; returns outputs as `running.results` takes them."""
        new = self.guarded.new
        width = self.case.spec.directions * self.case.spec.hidden_sizes[-1]
        self.reserve, workspace = (
            new(count, torch.uint8) for count in (self.sizes.reserve, self.sizes.forward_workspace)
        )
        self.y = new(self.rows * self.case.spec.output_size, self.dtype) if self.problem.output else None
        self.cy = new(self.rows * width, self.value) if self.case.cells else None
        self.hn, self.cn = new(self.h0.numel(), self.dtype), new(self.c0.numel(), self.value)
        packed = None
        if self.problem.prepacked:
            packed = new(self.sizes.packed, torch.uint8)
            self.library.check(self.library.raw.rnn_engine_pack(self.plan, self.pseudo_layers, pointer(packed), None))
            for name, tensor in self.parameters.items():  # what was packed is not read again
                if name.startswith(("weight_", "bias_ih", "bias_hh")):
                    tensor.fill_(torch.nan)
        arrays = (packed, self.x, *self.first, self.y, self.cy, self.hn, self.cn)
        arenas = map(pointer, (self.reserve, workspace))
        self.forward_args = Forward(self.pseudo_layers, *map(pointer, arrays), self.masks, *arenas)
        return self.forward_again(self.plan)

    def forward_again(self, plan):
        """The last forward call with its buffers, by a plan like this one's."""
        spec = self.case.spec
        self.library.check(self.library.raw.rnn_engine_forward(plan, byref(self.forward_args)))
        self.guarded.check()
        y = None if self.y is None else self.padded(self.y, spec.output_size)
        cells = self.padded(self.cy, spec.directions * spec.hidden_sizes[-1]) if self.case.cells else None
        return y, cells, *self.shaped(self.hn, self.cn)

    def backward(self, arrays, overwrite):
        """Gradients of x, h0 and c0, and those of the parameters: unless `overwrite`, added to ones."""
        new = self.guarded.new
        gradients = {
            name: new(p.numel(), self.value, fill=None if overwrite else 1).view(p.shape)
            for name, p in self.parameters.items()
        }
        dx, dh0 = new(self.x.numel(), self.dtype), new(self.h0.numel(), self.dtype)
        dc0, workspace = new(self.c0.numel(), self.value), new(self.sizes.backward_workspace, torch.uint8)
        dy = self.gathered(arrays.dy, self.dtype)
        dcy = self.gathered(arrays.dcells, self.value) if self.case.cells else None
        given = (dy, dcy, self.flat(arrays.dhn, self.dtype), self.flat(arrays.dcn, self.value))
        self.given, self.gradients = given, ((dx, dh0, dc0), gradients)
        self.backward_args = Backward(
            self.pseudo_layers,
            *map(pointer, (self.x, *self.first, self.y, *given, dx, dh0, dc0)),
            pseudo_layers_of(self.case.spec, gradients),
            overwrite,
            self.masks,
            *map(pointer, (self.reserve, workspace)),
        )
        return self.backward_again(self.plan)

    def backward_again(self, plan):
        """The last backward call, after another forward one."""
        (dx, dh0, dc0), gradients = self.gradients
        self.library.check(self.library.raw.rnn_engine_backward(plan, byref(self.backward_args)))
        self.guarded.check()
        return (self.padded(dx, self.case.I), *self.shaped(dh0, dc0)), gradients


def run_library(library, case, arrays, dtype, *, overwrite=True, **settings):
    """The same results as `running.run_engine`; of rounded types, float32 where vectors, sums and gradients are."""
    stack = Stack(library, case, arrays, dtype, training=1, input_gradient=1, **settings)
    outputs = stack.forward()
    return results(case, outputs, *stack.backward(arrays, overwrite))


LossProblem = structure(
    "LossProblem",
    ("dtype gradients", c_int32),
    ("tokens features vocabulary ignore_index", c_int64),
    ("smoothing", c_double),
    ("tf32", c_int32),
    ("divergence", c_double),
)
LossArgs = structure(
    "LossArgs",
    ("hidden weight bias targets", c_void_p),
    ("scale", c_double),
    ("d_hidden d_weight d_bias workspace stream", c_void_p),
)
LossResult = structure(
    "LossResult", ("loss nll", c_double), ("target_is_argmax tokens", c_int64), ("divergence", c_double)
)


def run_loss(
    library, hidden, weight, bias, targets, *, dtype, smoothing, ignore_index=-100, scale=1.0, gradients=7, tf32=False
):
    """Loss, and gradients by name; those of weight and bias are added to ones."""
    guarded, value = Guarded(), torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype
    hidden, weight = torch.tensor(hidden, dtype=dtype), torch.tensor(weight, dtype=dtype)
    bias, targets = None if bias is None else torch.tensor(bias, dtype=value), torch.tensor(targets, dtype=torch.int64)
    problem = LossProblem(DTYPES[dtype], gradients, *hidden.shape, len(weight), ignore_index, smoothing, tf32)
    count = c_uint64()
    library.check(library.raw.rnn_engine_loss_workspace(library.context, byref(problem), byref(count)))
    workspace = guarded.new(count.value, torch.uint8)
    d_hidden = guarded.new(hidden.numel(), dtype).view(hidden.shape)
    d_weight = guarded.new(weight.numel(), value, fill=1).view(weight.shape)
    d_bias = guarded.new(len(weight), value, fill=1)
    wanted = [t if gradients >> i & 1 else None for i, t in enumerate((d_hidden, d_weight, d_bias))]
    args = LossArgs(*map(pointer, (hidden, weight, bias, targets)), scale, *map(pointer, (*wanted, workspace)))
    result = LossResult()
    library.check(
        library.raw.rnn_engine_linear_cross_entropy(library.context, byref(problem), byref(args), byref(result))
    )
    guarded.check()
    return result, dict(zip(("d_hidden", "d_weight", "d_bias"), wanted, strict=True))
