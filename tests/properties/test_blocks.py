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

COUNTER = "cases of properties of blocks"


def class_name(case: str) -> str:
    return case.partition(",")[0]


@pytest.fixture(params=sorted({class_name(case) for case in BLOCK_CASES}))
def variants(request: pytest.FixtureRequest) -> dict[str, BlockCase]:
    """Return the cases of one block."""
    return {name: case for name, case in BLOCK_CASES.items() if class_name(name) == request.param}


def test_every_public_block_has_a_case() -> None:
    public = {
        name
        for name, value in vars(srblocks).items()
        if name in srblocks.__all__
        and inspect.isclass(value)
        and issubclass(value, nn.Module)
        and not value.__module__.startswith("srblocks.networks.")
    }
    missing = public - {class_name(case) for case in BLOCK_CASES} - {"Network"}  # it has no forward
    assert not missing, f"{sorted(missing)} have no case in tests/helpers/block_cases.py"


def input_size(data: st.DataObject, case: BlockCase, *, more: int = 0) -> tuple[int, int, int]:
    least = -(-case.min_size // case.size_multiple) + more
    count, *sides = data.draw(st.tuples(st.integers(1, 3), *[st.integers(least, least + 4)] * 2))
    return count, sides[0] * case.size_multiple, sides[1] * case.size_multiple


def inputs(data: st.DataObject, case: BlockCase, size: tuple[int, int, int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 2**32)))
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in case.input_shapes(*size)]


def outputs(case: BlockCase, module: nn.Module, tensors: list[Tensor]) -> list[Tensor]:
    found = module(tensors) if case.as_list else module(*tensors)
    return list(found) if isinstance(found, (list, tuple)) else [found]


def max_error(found: list[Tensor], expected: list[Tensor]) -> float:
    """Return the maximum error relative to the largest value, or to 1 if that is smaller."""
    return max(
        float((value - reference).abs().max()) / max(float(reference.abs().max()), 1)
        for value, reference in zip(found, expected, strict=True)
    )


@cases(2)
@given(data=st.data())
@torch.inference_mode()
def test_forward_is_pure_and_independent_of_batch_and_layout(
    variants: dict[str, BlockCase], data: st.DataObject, tally: Counter[str]
) -> None:
    for name, case in variants.items():
        module = case.module()
        size = input_size(data, case)
        with torch.inference_mode(False):  # inference tensors have no version counter
            lr = inputs(data, case, size)
        before, versions = copy.deepcopy(lr), [tensor._version for tensor in lr]
        state = {key: tensor.clone() for key, tensor in module.state_dict().items()}
        first, second = outputs(case, module, lr), outputs(case, module, lr)
        assert [tuple(tensor.shape) for tensor in first] == case.output_shapes(*size), name
        assert all(tensor.isfinite().all() for tensor in first), name
        assert all(map(torch.equal, first, second)), name
        assert [tensor._version for tensor in lr] == versions, name
        assert all(map(torch.equal, lr, before)), name
        assert all(torch.equal(tensor, state[key]) for key, tensor in module.state_dict().items()), name
        last = outputs(case, module, [tensor[-1:] for tensor in lr])
        assert max_error(last, [tensor[-1:] for tensor in first]) <= 1e-9, name
        layout = data.draw(st.sampled_from(list(MEMORY_LAYOUTS)))
        assert max_error(outputs(case, module, list(map(MEMORY_LAYOUTS[layout], lr))), first) <= 1e-9, (name, layout)
        tally[COUNTER] += 3


@cases(1)
@given(data=st.data())
@torch.inference_mode()
def test_casts_copies_saved_weights_and_scripts_compute_the_same(
    variants: dict[str, BlockCase], data: st.DataObject, tally: Counter[str]
) -> None:
    for name, case in variants.items():
        module = case.module()
        lr = inputs(data, case, input_size(data, case))
        expected = outputs(case, module, lr)
        for dtype, bound in ((torch.float32, 1e-4), (torch.bfloat16, 0.2)):
            found = outputs(case, copy.deepcopy(module).to(dtype), [tensor.to(dtype) for tensor in lr])
            assert {tensor.dtype for tensor in found} == {dtype}, name
            assert max_error([tensor.double() for tensor in found], expected) <= bound, (name, dtype)
        file = io.BytesIO()
        torch.save(module.state_dict(), file)
        fresh = case.build().double().eval()
        empty = case.build().double().eval().to("meta").to_empty(device="cpu")
        for other in (fresh, empty):
            other.load_state_dict(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
        for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module)), fresh, empty):
            assert all(map(torch.equal, outputs(case, other, lr), expected)), name
        assert max_error(outputs(case, torch.jit.script(module), lr), expected) <= 1e-9, name
        tally[COUNTER] += 7


@cases(1)
@given(data=st.data())
def test_gradients_reach_every_parameter_and_are_finite_at_zero(
    variants: dict[str, BlockCase], data: st.DataObject, tally: Counter[str]
) -> None:
    for name, case in variants.items():
        module = case.module().train()
        lr = [tensor.requires_grad_() for tensor in inputs(data, case, input_size(data, case, more=2))]
        sum(tensor.square().sum() for tensor in outputs(case, module, lr)).backward()
        gradients = {key: parameter.grad for key, parameter in module.named_parameters()}
        unused = {key for key, gradient in gradients.items() if gradient is None or not gradient.any()}
        assert unused == {key for key in gradients if key.startswith(case.unused)}, name
        with torch.no_grad():
            for key, parameter in module.named_parameters():
                if key.endswith("bias"):
                    parameter.zero_()
        zeros = [torch.zeros_like(tensor, requires_grad=True) for tensor in lr]
        module.zero_grad()
        sum(tensor.square().sum() for tensor in outputs(case, module, zeros)).backward()
        reached = [tensor.grad for tensor in [*module.parameters(), *zeros] if tensor.grad is not None]
        assert all(gradient.isfinite().all() for gradient in reached), name
        tally[COUNTER] += 2
