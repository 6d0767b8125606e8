"""Properties of every public block and upsampler; a new one needs a case in tests/helpers/block_cases.py."""

import copy
import inspect
import io
import pickle
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import srblocks
from helpers.block_cases import BLOCK_CASES, BlockCase
from helpers.small_networks import MEMORY_LAYOUTS
from helpers.support import cases

TRIED = "cases of properties of blocks"
BLOCKS = {
    name
    for name, value in vars(srblocks).items()
    if name in srblocks.__all__
    and inspect.isclass(value)
    and issubclass(value, nn.Module)
    and not value.__module__.startswith("srblocks.networks.")
}


@pytest.fixture(params=BLOCK_CASES)
def case(request: pytest.FixtureRequest) -> BlockCase:
    return BLOCK_CASES[request.param]


def test_every_public_block_has_a_row() -> None:
    missing = BLOCKS - {name.partition(",")[0] for name in BLOCK_CASES} - {"Network"}  # it has no forward
    assert not missing, f"{sorted(missing)} have no case in tests/helpers/block_cases.py"


def sizes(data: st.DataObject, case: BlockCase, *, more: int = 0) -> tuple[int, int, int]:
    least = -(-case.min_size // case.size_multiple) + more
    count, *sides = data.draw(st.tuples(st.integers(1, 3), *[st.integers(least, least + 4)] * 2))
    return count, sides[0] * case.size_multiple, sides[1] * case.size_multiple


def tensors(data: st.DataObject, case: BlockCase, size: tuple[int, int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**32)))
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in case.input_shapes(*size)]


def outputs(case: BlockCase, module: nn.Module, given_tensors: list[Tensor]) -> list[Tensor]:
    found = module(given_tensors) if case.as_list else module(*given_tensors)
    return list(found) if isinstance(found, (list, tuple)) else [found]


@cases(2)
@given(data=st.data())
@torch.inference_mode()
def test_shapes_follow_the_docstring_and_tensors_are_only_read(
    case: BlockCase, data: st.DataObject, tally: Counter[str]
) -> None:
    module = case.module()
    size = sizes(data, case)
    with torch.inference_mode(False):  # which counts no versions
        lr = tensors(data, case, size)
    before, versions = copy.deepcopy(lr), [tensor._version for tensor in lr]
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    first, second = outputs(case, module, lr), outputs(case, module, lr)
    assert [tuple(tensor.shape) for tensor in first] == case.output_shapes(*size)
    assert all(tensor.isfinite().all() for tensor in first)
    assert all(map(torch.equal, first, second))
    assert [tensor._version for tensor in lr] == versions
    assert all(map(torch.equal, lr, before))
    assert all(torch.equal(tensor, state[name]) for name, tensor in module.state_dict().items())
    tally[TRIED] += 1


@cases(2)
@given(data=st.data())
@torch.inference_mode()
def test_items_of_a_batch_and_layouts_do_not_matter(case: BlockCase, data: st.DataObject, tally: Counter[str]) -> None:
    module = case.module()
    lr = tensors(data, case, sizes(data, case))
    whole = outputs(case, module, lr)
    last = outputs(case, module, [tensor[-1:] for tensor in lr])
    layout = MEMORY_LAYOUTS[data.draw(st.sampled_from(list(MEMORY_LAYOUTS)))]
    laid = outputs(case, module, [layout(tensor) for tensor in lr])
    for one, alone, other in zip(whole, last, laid, strict=True):
        bound = 1e-9 * max(float(one.abs().max()), 1)
        assert float((alone - one[-1:]).abs().max()) <= bound
        assert float((other - one).abs().max()) <= bound
    tally[TRIED] += 2


@cases(1)
@given(data=st.data())
@torch.inference_mode()
def test_float32_is_close_and_halves_stay_halves(case: BlockCase, data: st.DataObject, tally: Counter[str]) -> None:
    module = case.module()
    lr = tensors(data, case, sizes(data, case))
    exact = outputs(case, module, lr)
    for dtype, bound in ((torch.float32, 1e-4), (torch.bfloat16, 0.2)):
        found = outputs(case, copy.deepcopy(module).to(dtype), [tensor.to(dtype) for tensor in lr])
        for value, reference in zip(found, exact, strict=True):
            assert value.dtype == dtype
            assert float((value.double() - reference).abs().max()) <= bound * max(float(reference.abs().max()), 1)
    tally[TRIED] += 2


@cases(1)
@given(data=st.data())
def test_gradients_reach_every_parameter_and_are_finite_even_of_nothing(
    case: BlockCase, data: st.DataObject, tally: Counter[str]
) -> None:
    module = case.module().train()
    lr = [tensor.requires_grad_() for tensor in tensors(data, case, sizes(data, case, more=2))]
    sum(tensor.square().sum() for tensor in outputs(case, module, lr)).backward()
    found = {name: parameter.grad for name, parameter in module.named_parameters()}
    idle = {name for name, gradient in found.items() if gradient is None or not gradient.any()}
    assert idle == {name for name in found if name.startswith(case.unused)}
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
    nothing = [torch.zeros_like(tensor, requires_grad=True) for tensor in lr]
    module.zero_grad()
    sum(tensor.square().sum() for tensor in outputs(case, module, nothing)).backward()
    arrived = [parameter.grad for parameter in [*module.parameters(), *nothing] if parameter.grad is not None]
    assert all(gradient.isfinite().all() for gradient in arrived)
    tally[TRIED] += 2


@cases(1)
@given(data=st.data())
@torch.inference_mode()
def test_copies_and_saved_weights_are_the_same_block(case: BlockCase, data: st.DataObject, tally: Counter[str]) -> None:
    module = case.module()
    lr = tensors(data, case, sizes(data, case))
    exact = outputs(case, module, lr)
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    fresh = case.build().double().eval()
    empty = case.build().double().eval().to("meta").to_empty(device="cpu")
    for other in (fresh, empty):
        other.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    for again in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), fresh, empty):
        assert all(map(torch.equal, outputs(case, again, lr), exact))
    tally[TRIED] += 4


@cases(1)
@given(data=st.data())
@torch.inference_mode()
def test_scripted_and_traced_it_computes_the_same(case: BlockCase, data: st.DataObject, tally: Counter[str]) -> None:
    module = case.module()
    lr = tensors(data, case, sizes(data, case))
    exact, scripted = outputs(case, module, lr), torch.jit.script(module)
    for value, reference in zip(outputs(case, scripted, lr), exact, strict=True):
        assert float((value - reference).abs().max()) <= 1e-9 * max(float(reference.abs().max()), 1)
    tally[TRIED] += 1
