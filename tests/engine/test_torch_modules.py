"""torch's own samples and errors for nn.LSTM, with `rnn_engine.LSTM` in its place.

The samples come with torch (`torch.testing._internal.common_modules`); what is asked of a module for each of them is
what torch's test_modules.py asks, which is not installed.
"""

import copy
import io
import itertools
import pickle

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.testing import assert_close
from torch.utils._pytree import tree_flatten, tree_map_only

import rnn_engine

pytest.importorskip("expecttest", reason="torch's samples need it")
samples_of = pytest.importorskip("torch.testing._internal.common_modules", reason="torch's samples are not installed")
# That import forbids the whole process to set flags like torch.backends.cudnn.allow_tf32, which other tests need to.
torch.backends.disable_global_flags.__globals__["__allow_nonbracketed_mutation_flag"] = True

INFO = next(info for info in samples_of.module_db if info.module_cls is nn.LSTM)
PACKED = next(info for info in samples_of.module_db if info.module_cls is nn.GRU)  # whose samples include packed input


def all_samples():
    """Arguments of the constructor and of the call, for every sample, in double precision."""
    options = {"device": "cpu", "dtype": torch.float64, "requires_grad": True, "training": True}
    torch.manual_seed(0)
    samples = list(INFO.module_inputs_func(INFO, **options))
    packed = PACKED.module_inputs_func(PACKED, **options, with_packed_sequence=True)
    samples += [sample for sample in packed if isinstance(sample.forward_input.args[0], PackedSequence)]
    return [(sample.constructor_input, sample.forward_input.args) for sample in samples]


def made(cls, constructor, dtype=torch.float64):
    torch.manual_seed(1)
    return cls(*constructor.args, **constructor.kwargs, dtype=dtype)


def tensors(result):
    """The tensors of nested tuples that carry values; a PackedSequence's sizes and indices do not."""
    return [leaf for leaf in tree_flatten(result)[0] if isinstance(leaf, Tensor) and leaf.is_floating_point()]


def gradients(module, arguments, upstream=None):
    """Outputs, and the gradients of inputs and parameters from a given or random upstream."""
    outputs = tensors(module(*arguments))
    if upstream is None:
        torch.manual_seed(2)
        upstream = [torch.randn_like(output) for output in outputs]
    leaves = [*tensors(arguments), *module.parameters()]
    return outputs, torch.autograd.grad(outputs, leaves, upstream), upstream


def with_strides(tensor):
    """The same values, not contiguous."""
    strided = torch.stack([tensor.detach(), torch.full_like(tensor, float("nan"))], -1)[..., 0]
    assert not strided.is_contiguous()
    return strided.requires_grad_(tensor.requires_grad)


def like_torch(constructor, arguments, dtype=torch.float64):
    theirs, ours = made(nn.LSTM, constructor, dtype), made(rnn_engine.LSTM, constructor, dtype)
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], tensor), name
    assert_close(gradients(ours, arguments), gradients(theirs, arguments))


def like_torch_in_single_precision(constructor, arguments):
    arguments = tree_map_only(
        Tensor, lambda t: t.detach().float().requires_grad_() if t.requires_grad else t, arguments
    )
    like_torch(constructor, arguments, torch.float32)


def same_module(one, other, arguments):
    assert_close(other(*arguments), one(*arguments), rtol=0, atol=0)
    assert repr(one) == repr(other)


def takes_device_and_dtype(constructor, arguments):
    for dtype, device in itertools.product((torch.float32, torch.float64), ("cpu", "meta")):
        module = rnn_engine.LSTM(*constructor.args, **constructor.kwargs, device=device, dtype=dtype)
        assert {(p.dtype, p.device.type) for p in module.parameters()} == {(dtype, device)}
        with torch.device(device):
            module = rnn_engine.LSTM(*constructor.args, **constructor.kwargs)
        assert {p.device.type for p in module.parameters()} == {device}
    filled = torch.nn.utils.skip_init(rnn_engine.LSTM, *constructor.args, **constructor.kwargs, dtype=torch.float64)
    module = made(rnn_engine.LSTM, constructor)
    filled.load_state_dict(module.state_dict())
    same_module(module, filled, arguments)


def moves_between_devices_and_dtypes(constructor, arguments):
    for swap in (False, True):
        torch.__future__.set_swap_module_params_on_conversion(swap)
        try:
            module = made(rnn_engine.LSTM, constructor)
            twin = copy.deepcopy(module).to(torch.float32)
            assert {p.dtype for p in twin.parameters()} == {torch.float32}
            twin.to(torch.float64)
            twin.to("meta").to_empty(device="cpu").load_state_dict(module.state_dict())
            same_module(module, twin, arguments)
            for parameter in twin.parameters():
                assert parameter.is_leaf
                assert parameter.requires_grad
        finally:
            torch.__future__.set_swap_module_params_on_conversion(False)


def survives_pickling_copying_and_saving(constructor, arguments):
    module = made(rnn_engine.LSTM, constructor)
    same_module(module, pickle.loads(pickle.dumps(module)), arguments)
    same_module(module, copy.deepcopy(module), arguments)
    for saved in (module, module.state_dict()):
        file = io.BytesIO()
        torch.save(saved, file)
        file.seek(0)
        loaded = torch.load(file, weights_only=saved is not module)
        if saved is not module:
            loaded, state = made(rnn_engine.LSTM, constructor), loaded
            with torch.no_grad():
                for parameter in loaded.parameters():
                    parameter.zero_()
            assert loaded.load_state_dict(state, assign=True)
        same_module(module, loaded, arguments)


def exchanges_state_with_torch(constructor, arguments):
    theirs, ours = made(nn.LSTM, constructor), made(rnn_engine.LSTM, constructor)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(1)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    assert_close(ours(*arguments), theirs(*arguments))
    theirs.load_state_dict(ours.state_dict(), strict=True)
    assert ours.state_dict()._metadata == theirs.state_dict()._metadata


def takes_any_strides(constructor, arguments):
    module = made(rnn_engine.LSTM, constructor)
    expected = gradients(module, arguments)
    strided = tree_map_only(Tensor, lambda t: with_strides(t) if t.is_floating_point() else t, arguments)
    upstream = expected[2]
    for given, above in itertools.product((arguments, strided), (upstream, [with_strides(t) for t in upstream])):
        found = gradients(module, given, above)
        assert_close(found[:2], expected[:2], rtol=0, atol=0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.set_(with_strides(parameter))
    assert_close(gradients(module, strided, upstream)[:2], expected[:2], rtol=0, atol=0)


def leaves_its_inputs_alone(constructor, arguments):
    module = made(rnn_engine.LSTM, constructor)
    before = copy.deepcopy([tensor.detach() for tensor in [*tensors(arguments), *module.parameters()]])
    _, found, upstream = gradients(module, arguments)
    kept = copy.deepcopy(upstream)
    torch.autograd.grad(tensors(module(*arguments)), tensors(arguments), upstream)
    after = [tensor.detach() for tensor in [*tensors(arguments), *module.parameters()]]
    assert_close(after, before, rtol=0, atol=0)
    assert_close(upstream, kept, rtol=0, atol=0)
    assert len(found) == len(after)


def passes_gradcheck(constructor, arguments):
    module = made(rnn_engine.LSTM, constructor)
    leaves = [*tensors(arguments), *module.parameters()]

    def run(*given):
        # gradcheck perturbs the very tensors that it was given
        return tuple(tensors(module(*arguments)))

    assert torch.autograd.gradcheck(run, leaves, nondet_tol=0.0, fast_mode=True)  # as torch does with its modules
    with pytest.raises(RuntimeError, match=r"create_graph=True\) is not supported"):
        torch.autograd.gradgradcheck(run, leaves)


def runs_in_either_mode(constructor, arguments):
    module = made(rnn_engine.LSTM, constructor)
    trained = module.train()(*arguments)
    assert_close(module.eval()(*arguments), trained, rtol=0, atol=0)
    with torch.no_grad():
        assert_close(module(*arguments), trained, rtol=0, atol=0)


def accepts_memory_formats_and_hooks(constructor, arguments):
    module = made(rnn_engine.LSTM, constructor)
    expected = module(*arguments)
    for memory_format in (torch.contiguous_format, torch.channels_last, torch.preserve_format):
        assert_close(copy.deepcopy(module).to(memory_format=memory_format)(*arguments), expected, rtol=0, atol=0)
    called = []
    module.register_forward_pre_hook(lambda *_: called.append("before"))
    module.register_forward_hook(lambda *_: called.append("after"))
    if not isinstance(arguments[0], PackedSequence):  # whose tensors torch's backward hooks do not look into
        module.register_full_backward_hook(lambda *_: called.append("backward"))
    sum(tensor.sum() for tensor in tensors(module(*arguments))).backward()
    assert called == ["before", "after", "backward"][: 3 - isinstance(arguments[0], PackedSequence)]
    module.zero_grad()
    assert all(parameter.grad is None for parameter in module.parameters())


def has_torchs_description(constructor, arguments):
    ours, theirs = made(rnn_engine.LSTM, constructor), made(nn.LSTM, constructor)
    assert repr(ours) == repr(theirs)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    for name in ("mode", "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional"):
        assert getattr(ours, name) == getattr(theirs, name), name
    with pytest.raises(TypeError):
        rnn_engine.LSTM(*constructor.args, **constructor.kwargs, inplace=True)


CHECKS = (
    like_torch,
    like_torch_in_single_precision,
    takes_device_and_dtype,
    moves_between_devices_and_dtypes,
    survives_pickling_copying_and_saving,
    exchanges_state_with_torch,
    takes_any_strides,
    leaves_its_inputs_alone,
    runs_in_either_mode,
    accepts_memory_formats_and_hooks,
    has_torchs_description,
    passes_gradcheck,
)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_sample(check):
    samples = all_samples()
    assert len(samples) > 40
    for constructor, arguments in samples:
        check(constructor, arguments)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_what_torch_refuses_is_refused(dtype):
    """The same kinds of errors; the words are the engine's own."""
    cases = INFO.module_error_inputs_func(INFO, device="cpu", dtype=dtype, requires_grad=False, training=True)
    assert cases
    for case in cases:
        sample = case.module_error_input
        construct = sample.constructor_input
        if case.error_on == samples_of.ModuleErrorEnum.CONSTRUCTION_ERROR:
            with pytest.raises(case.error_type, match="expected"):
                rnn_engine.LSTM(*construct.args, **construct.kwargs)
        else:
            module = rnn_engine.LSTM(*construct.args, **construct.kwargs)
            with pytest.raises(case.error_type, match="expected"):
                module(*sample.forward_input.args, **sample.forward_input.kwargs)
