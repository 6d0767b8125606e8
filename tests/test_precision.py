"""Half-precision networks: close to float32, with optional float32 modules, scriptable; the original is unchanged."""

import copy
import math
import re
from collections.abc import Collection

import pytest
import torch
from torch import Tensor, nn

from helpers.support import trained_alike
from srblocks import OnLuma, OnYCbCr, create_network, optimize, to_precision
from srblocks.network import Network
from srblocks.networks import network_spec, network_specs
from srblocks.precision import PRECISIONS
from srblocks.registry import NetworkSpec

MIN_PSNR = {"bf16": 45, "fp16": 60}
AMPLIFIED = {"rednet30": 1.5, "bsrn_s": 1.5, "efdn": 3.5}
"""Networks with random weights that amplify rounding: what they may lose in bf16, which differs between processors."""
# One variant per network class: the others consist of the same modules.
KINDS = list({spec.constructor[0]: spec for spec in network_specs()}.values())


def small(spec: NetworkSpec) -> Network:
    """Return a shallow network with weights and a value range that keep all values near 1."""
    config = {"value_range": 1.0} if "value_range" in spec.arguments() else {}
    return trained_alike(create_network(spec.name, scale=spec.default_scale, **spec.reduced, **config))


def image(net: Network) -> Tensor:
    return torch.rand(1, net.image_channels, max(8, net.min_size), max(12, net.min_size))


def psnr(value: Tensor, reference: Tensor) -> float:
    """Return the PSNR for a peak of 1 or of four standard deviations, whichever is larger (random weights)."""
    peak = max(1.0, 4 * float(reference.detach().std()))
    return 10 * math.log10(peak**2 / max(float((value - reference).detach().square().mean()), 1e-12))


def tensors(net: nn.Module) -> dict[str, Tensor]:
    """Return the floating-point parameters and buffers, including non-persistent ones."""
    named = [*net.named_parameters(), *net.named_buffers()]
    return {name: tensor for name, tensor in named if tensor.is_floating_point()}


@pytest.mark.one_of_each_class
def test_converted_networks_are_close_and_the_original_is_unchanged(spec: NetworkSpec) -> None:
    net = small(spec)
    before, lr = copy.deepcopy(net.state_dict()), image(net)
    with torch.inference_mode():
        reference = net(lr)
        assert psnr(to_precision(net, "fp32", fp32_modules=leaves(net))(lr), reference) > 100
        for precision, minimum in MIN_PSNR.items():
            half = to_precision(net.train(), precision)
            sr = half(lr)
            assert torch.equal(net.eval()(lr), reference)
            tolerance = AMPLIFIED.get(spec.name, 0) if precision == "bf16" else 0
            assert psnr(sr, reference) >= minimum - tolerance, precision
            assert sr.dtype == torch.float32
            assert {tensor.dtype for tensor in tensors(half).values()} == {PRECISIONS[precision]}
            assert {tensor.dtype for tensor in tensors(net).values()} == {torch.float32}
            assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
            assert (half.scale, half.min_size, half.size_multiple) == (net.scale, net.min_size, net.size_multiple)
            assert (half.color, half.training) == (net.color, False)
            assert not any(parameter.requires_grad for parameter in half.parameters())


def types_inside(net: Network, lr: Tensor) -> dict[str, set[torch.dtype]]:
    """Run the network and return the dtypes of inputs, outputs and own tensors of each called module."""
    found: dict[str, set[torch.dtype]] = {}

    def types(value: object) -> set[torch.dtype]:
        if isinstance(value, Tensor):
            return {value.dtype} if value.is_floating_point() else set()
        return set().union(*map(types, value)) if isinstance(value, (list, tuple)) else set()

    def watch(path: str):
        def note(module: nn.Module, inputs: object, output: object) -> None:
            own = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
            found[path] = found.get(path, set()) | types(inputs) | types(output) | types(own)

        return note

    net = copy.deepcopy(net)
    for path, module in net.named_modules():
        module.register_forward_hook(watch(path))
    with torch.inference_mode():
        net(lr)
    return found


def all_float32_inside(half: Network, lr: Tensor) -> bool:
    """Return whether all inputs, outputs and tensors inside float32 modules are float32."""
    inside = [types for path, types in types_inside(half, lr).items() if ".module" in path]
    return len(inside) > 0 and set().union(*inside) == {torch.float32}


def leaves(net: Network) -> list[str]:
    return [re.escape(path) for path, module in net.named_modules() if path and not list(module.children())]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda spec: spec.name)
def test_every_module_can_stay_in_fp32(kind: NetworkSpec) -> None:
    net = small(kind)
    lr = image(net)[:1]
    depths = max(path.count(".") for path, _ in net.named_modules())
    for fp32_modules in [[r"[^.]+" + r"\.[^.]+" * depth] for depth in range(depths)] + [leaves(net)]:
        half = to_precision(net, "bf16", fp32_modules=fp32_modules)
        assert all_float32_inside(half, lr), fp32_modules
        assert torch.equal(torch.jit.script(half)(lr), half(lr)), fp32_modules


@pytest.mark.one_of_each_class
def test_all_layers_of_an_optimized_network_can_stay_in_fp32(spec: NetworkSpec) -> None:
    net = optimize(small(spec))
    lr = image(net)[:1]
    half = to_precision(net, "bf16", fp32_modules=leaves(net))
    assert all_float32_inside(half, lr)
    assert psnr(half(lr), net(lr)) >= MIN_PSNR["bf16"]


def test_trace_and_export_accept_any_size() -> None:
    net = small(network_spec("lapsrn"))
    half = to_precision(net, "bf16", fp32_modules=[r"levels\.0", "head.*"])
    lr = torch.rand(1, 1, 7, 9)
    traced = torch.jit.trace(half, torch.rand(2, 1, 12, 8))
    assert torch.equal(traced(lr), half(lr))
    free = torch.export.Dim.AUTO
    program = torch.export.export(half, (torch.rand(2, 1, 12, 8),), dynamic_shapes=({0: free, 2: free, 3: free},))
    assert psnr(program.module()(lr), half(lr)) > MIN_PSNR["bf16"]


def test_only_fp32_modules_compute_in_float32() -> None:
    net = trained_alike(create_network("edsr_baseline", depth=3))
    half = to_precision(net, "fp16", fp32_modules=[r"body\.1", "tail"])
    types = types_inside(half, torch.rand(1, 3, 6, 5))
    assert types["net.body.1.module.conv1"] == types["net.body.1.module.act"] == {torch.float32}
    assert types["net.tail.module"] == {torch.float32}
    assert types["net.body.1"] == types["net.tail"] == types["net.body.0.conv1"] == types["net.body.2"]
    assert types["net.body.2"] == {torch.float16}
    exact = net.get_parameter("body.1.conv1.weight")
    assert torch.equal(half.get_parameter("net.body.1.module.conv1.weight"), exact)


def test_shared_modules_are_float32_in_both_places() -> None:
    class Twice(Network):
        def __init__(self) -> None:
            super().__init__(scale=1, image_channels=1)
            shared = nn.Conv2d(1, 1, 3, padding=1)
            self.first = nn.Sequential(shared, nn.ReLU())
            self.second = nn.Sequential(shared, nn.Conv2d(1, 1, 1))

        def forward(self, lr: Tensor) -> Tensor:
            return self.second(self.first(lr)) + self.second(lr)

    net = Twice().eval()
    half = to_precision(net, "bf16", fp32_modules=["first"])
    lr = torch.rand(2, 1, 6, 7)
    types = types_inside(half, lr)
    assert types["net.first.module.0"] == {torch.float32}
    assert half.get_parameter("net.first.module.0.weight") is half.get_parameter("net.second.0.module.weight")
    assert half.get_parameter("net.second.1.weight").dtype == torch.bfloat16
    assert psnr(half(lr), net(lr)) > MIN_PSNR["bf16"]
    assert torch.equal(torch.jit.script(half)(lr), half(lr))


def test_weights_and_activations_are_channels_last() -> None:
    net = trained_alike(create_network("edsr_baseline", depth=1))
    for precision in PRECISIONS:
        half = to_precision(net, precision)
        layers = [module for module in half.modules() if isinstance(module, nn.Conv2d)]
        assert all(layer.weight.is_contiguous(memory_format=torch.channels_last) for layer in layers), precision
        outputs: list[Tensor] = []
        for layer in layers:
            layer.register_forward_hook(lambda _, __, y, outputs=outputs: outputs.append(y))
        with torch.inference_mode():
            half(torch.rand(1, 3, 8, 9))
        assert len(outputs) == len(layers)
        assert all(y.is_contiguous(memory_format=torch.channels_last) for y in outputs), precision
        if precision != "bf16":
            plain = to_precision(net, precision, channels_last=False)
            assert all(weight.is_contiguous() for weight in plain.parameters()), precision


def test_derived_constants_are_rounded_once() -> None:
    kinds = {"bf16": torch.bfloat16, "fp16": torch.float16}
    for precision, kind in kinds.items():
        half = to_precision(create_network("vdsr", scale=3, depth=2, width=2).to(kind), precision)
        kernel = half.get_buffer("net.upsampler.bicubic.kernel")
        exact = create_network("vdsr", scale=3, depth=2, width=2).double().get_buffer("upsampler.bicubic.kernel")
        assert torch.equal(kernel, exact.to(kind))
        shift = to_precision(create_network("edsr_baseline", depth=1), precision).get_buffer("net.normalise.1.bias")
        exact = create_network("edsr_baseline", depth=1).double().get_buffer("normalise.1.bias")
        assert torch.equal(shift, exact.to(kind))


def test_color_conversions_stay_in_float32() -> None:
    net = OnLuma(small(network_spec("vdsr")))
    half = to_precision(net, "bf16", fp32_modules=[r"net\.tail"])
    lr = torch.rand(1, 3, 8, 9)
    assert isinstance(half, OnLuma)
    types = types_inside(half, lr)
    assert types["from_rgb"] == types["chroma.bicubic"] == types["to_rgb"] == {torch.float32}
    assert types["net.net.head.0"] == {torch.bfloat16}
    assert types["net.net.tail.module"] == {torch.float32}
    assert psnr(half(lr), net(lr).detach()) > MIN_PSNR["bf16"]
    with pytest.raises(ValueError, match="already converted; pass the original network"):
        to_precision(half, "bf16")
    full = create_network("espcn", scale=2, image_channels=3)
    full.color = "ycbcr"
    assert isinstance(to_precision(OnYCbCr(full), "fp16"), OnYCbCr)


def test_conversion_keeps_one_scale_and_the_rewrites() -> None:
    net = create_network("lapsrn", scale=4, depth=1, width=4)
    half = to_precision(net, "bf16")
    assert (net.scales, half.scales, half.at_scale(4)) == ((2, 3, 4), (4,), half)
    with pytest.raises(ValueError, match="converted for x4 only; call at_scale before to_precision"):
        half.at_scale(2)
    better = optimize(net)
    assert to_precision(better, "fp16").rewrites == better.rewrites is not None
    with pytest.raises(ValueError, match=r"expected images of shape \(N, 1, H, W\).*, got \(1, 3, 4, 4\)"):
        half(torch.rand(1, 3, 4, 4))


def test_invalid_arguments_raise() -> None:
    net = create_network("espcn", scale=2)
    rows: list[tuple[str, Collection[str], str]] = [
        ("int8", (), r"unknown precision 'int8'; available: fp32, fp16, bf16"),
        ("fp16", ["bodi"], r"'bodi' does not fully match any module path; closest: body"),
        ("fp16", "upsampler.", r"'upsampler.' does not fully match any module path; closest: upsampler"),
        ("bf16", ["tail", "body["], r"invalid regular expression 'body\[' \(unterminated character set"),
    ]
    for precision, fp32_modules, message in rows:
        with pytest.raises(ValueError, match=message):
            to_precision(net, precision, fp32_modules=fp32_modules)


def test_bf16_memory_format_and_unsupported_signatures_raise() -> None:
    net = create_network("espcn", scale=2)
    with pytest.raises(ValueError, match="bf16 requires channels_last=True; other memory formats are slow"):
        to_precision(net, "bf16", channels_last=False)

    class Odd(nn.Module):
        def forward(self, x: Tensor, times: int) -> Tensor:
            return x * times

    net.add_module("odd", Odd())
    with pytest.raises(ValueError, match=r"odd is a Odd with forward\(Tensor, int\) -> Tensor, which cannot stay .*"):
        to_precision(net, "fp16", fp32_modules=["odd"])
