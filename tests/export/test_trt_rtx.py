"""Engines of TensorRT for RTX for every network, built by the real library without a GPU."""

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto

from helpers.onnx_graphs import check_node_names
from helpers.small_networks import narrow_arguments
from helpers.support import needs_rtx, tensorrt_findings, trained_alike
from srblocks import create_network, optimize, to_precision
from srblocks.network import Network
from srblocks.networks import network_specs
from srblocks.registry import NetworkSpec
from srblocks_export.config import ExportConfig
from srblocks_export.errors import ExportError
from srblocks_export.formats import FORMATS, WriteContext
from srblocks_export.formats.tensorrt.trt_engine import TENSORRT_RTX, BuildOptions, build_engine
from srblocks_export.manifest import describe, describe_file
from srblocks_export.plan import network_shapes
from srblocks_export.shapes import Shapes
from srblocks_export.verification.inputs import References
from srblocks_export.verification.process import Worker

pytestmark = needs_rtx

TARGET = FORMATS["trt-rtx"]
FULL_DEPTH = ("srcnn", "espcn", "lapsrn", "dbpn_ss", "dsrn")
"""One network of each framework."""
SHALLOWER: dict[str, dict[str, Any]] = {
    **{name: {"depth": 1} for name in ("carn", "carn_m", "csnln", "mdsr")},
    **{name: {"depth": 1} for name in ("compact", "imdn", "imdn_ntire", "rfdn", "rlfn", "pan", "safmn", "safmnpp")},
    "spanv2": {"depth": 1},
    "pds": {"depth": 1},
    **{name: {"blocks": [1, 1, 1], "depth": 1} for name in ("prosr_l", "prosr_s")},
    **{name: {"depth": 1, "layers": 1} for name in ("rdn", "rdn_a")},
    "dbpn_res_mr64_3": {"stages": 2},
    "memnet": {"memories": 1, "recursions": 1},
    "rcan": {"groups": 1, "blocks_per_group": 1},
    "rednet30": {"depth": 4},
    "san": {"groups": 1},
}
"""Arguments of networks that take long to export even if they are reduced."""
SAME_WHEN_SHALLOW = {
    "dbpn_ll": "dbpn",
    "dbpn_s": "dbpn_ss",
    "mdsr_baseline": "mdsr",
    "rdn_a": "rdn",
    "rrdbnet_6b": "rrdbnet",
    "rrdbnet_lite": "rrdbnet",
    "ninasr_b1": "ninasr_b0",
    "ninasr_b2": "ninasr_b0",
}
VARIANTS = ("esrgan_plus", "span_ntire", "rlfn_s", "rlfn_ntire", "realplksr_tiny", "spanf", "safmnpp_light")
"""Networks with the layers of another one in other sizes, whose engines are slow tests."""
TYPES = {
    "fp32": (TensorProto.FLOAT, "FLOAT"),
    "fp16": (TensorProto.FLOAT16, "HALF"),
    "bf16": (TensorProto.BFLOAT16, "BF16"),
}
"""Types of the weights in the ONNX file, and of tensors in the engine."""
NAMED = ("drcn", "rcan", "dbpn_ss")
"""Networks to check the names of nodes of: shared weights, channel attention, up- and downsampling."""
TURING_LACKS = ("csnln", "san")
"""Networks with products of float32 matrices, which GPUs of compute capability 7.5 do not have."""


def small(spec: NetworkSpec) -> Network:
    """Return a narrow network; it is also shallow unless it represents its framework."""
    arguments: dict[str, Any] = {} if spec.name in FULL_DEPTH else {**spec.reduced, **SHALLOWER.get(spec.name, {})}
    if "value_range" in spec.arguments():
        arguments["value_range"] = 1.0
    return trained_alike(create_network(spec.name, scale=spec.default_scale, **narrow_arguments(spec), **arguments))


def test_networks_are_covered() -> None:
    specs = {spec.name: spec for spec in network_specs()}
    assert {specs[name].framework for name in FULL_DEPTH} == {spec.framework for spec in specs.values()}
    for name, other in SAME_WHEN_SHALLOW.items():
        assert small(specs[name]).config == small(specs[other]).config


def rows() -> list[Any]:
    """Return the networks, and whether height and width are dynamic.

    Tracing SAN with dynamic sides takes half a minute; by default only its batch is dynamic.
    """
    specs = {spec.name: spec for spec in network_specs() if spec.name not in SAME_WHEN_SHALLOW}
    found = [
        pytest.param(spec, name != "san", id=name, marks=pytest.mark.slow if name in VARIANTS else ())
        for name, spec in specs.items()
    ]
    return [*found, pytest.param(specs["san"], True, id="san, dynamic sides", marks=pytest.mark.slow)]


@pytest.mark.parametrize(("each", "dynamic_sides"), rows())
def test_engines_of_every_network(each: NetworkSpec, dynamic_sides: bool, tmp_path: Path, worker: Worker) -> None:
    for precision in ("fp32", "fp16"):
        check_engine(each, precision, dynamic_sides, tmp_path, worker)


@pytest.mark.slow
@pytest.mark.parametrize(("each", "dynamic_sides"), rows())
def test_bf16_engines_of_every_network(each: NetworkSpec, dynamic_sides: bool, tmp_path: Path, worker: Worker) -> None:
    if each.name == "csnln":  # its transposed convolutions have computed kernels
        with pytest.raises(ExportError, match=r"E702 trt-rtx: .* deconv"):
            check_engine(each, "bf16", dynamic_sides, tmp_path, worker)
    else:
        check_engine(each, "bf16", dynamic_sides, tmp_path, worker)


def check_engine(spec: NetworkSpec, precision: str, dynamic_sides: bool, folder: Path, worker: Worker) -> None:
    """Build the engine of a network, and check its ONNX file, its types and what is recorded."""
    net = small(spec)
    optimized = optimize(net, always=TARGET.always_rewrites.get(precision, ()))
    largest = maximum(optimized)
    config = ExportConfig(
        formats=("trt-rtx",),
        out=folder,
        precision=precision,
        engine=targets(spec, precision),
        minimum=None if dynamic_sides else (1, *largest[1:]),
        maximum=largest,
    )
    shapes = network_shapes(optimized, config)
    source, path = folder / f"{precision}.onnx", folder / f"{precision}.rtx.engine"
    verified = precision == "bf16" or spec.name in (*FULL_DEPTH, *NAMED)
    context = WriteContext(shapes, describe(net, shapes).to_dict() if verified else {}, config, source=source)
    converted = optimized if precision == "fp32" else to_precision(optimized, precision)
    FORMATS["onnx"].write(converted, source, context)
    if verified:
        check_onnx(source, net, shapes, worker, config)
    if precision != "bf16":
        assert tensorrt_findings(source) == []
    graph = onnx.load(source).graph
    onnx_type, engine_type = TYPES[precision]
    weights = {tensor.data_type for tensor in graph.initializer if tensor.name.startswith("net.")}
    assert weights <= {onnx_type}
    kinds = [value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)]
    assert kinds == [TensorProto.FLOAT] * 2
    if precision == "fp16" and spec.name in NAMED:
        check_node_names(converted, graph)
    details = TARGET.write(converted, path, context)
    lacking = precision == "bf16" or (precision == "fp32" and spec.name in TURING_LACKS)
    assert details["portability"]["compute_capabilities"][0] == ("8.0" if lacking else "7.5")
    assert len(details["warnings"]) == lacking, details["warnings"]
    built, types = details["checks"]
    assert built.startswith("parsed and built by TensorRT for RTX 1.")
    assert engine_type in types
    assert details["device_memory"] > 0
    entry = {"artifact": describe_file("trt-rtx", path, path.name, details).to_dict()}
    assert "accepts the header" in TARGET.inspect(path, entry)[0]


def targets(spec: NetworkSpec, precision: str) -> BuildOptions:
    """Return the GPUs to build for: all of them for some networks, otherwise the oldest and the newest."""
    if precision == "bf16" or spec.name in (*FULL_DEPTH, *NAMED, *TURING_LACKS):
        return BuildOptions()
    return BuildOptions(compute_capabilities=("7.5", "12.0"))


def maximum(net: Network) -> tuple[int, int, int, int]:
    side = network_shapes(net, ExportConfig()).minimum[2]
    return 2, net.image_channels, side + 10 * net.size_multiple, side + 14 * net.size_multiple


def check_onnx(source: Path, net: Network, shapes: Shapes, worker: Worker, config: ExportConfig) -> None:
    """Compare the ONNX file with the network in float32."""
    result = worker.verify(source, References(net, shapes, source.parent), *config.bounds)
    assert result.problem is None
    assert len({tuple(case.shape[2:]) for case in result.cases}) >= 3


def test_plans_repeat(tmp_path: Path) -> None:
    net = optimize(small(next(spec for spec in network_specs() if spec.name == "fsrcnn")))
    for shape, maximum_shape in (((1, 1, 24, 32), None), (None, (2, 1, 24, 32))):
        config = ExportConfig(formats=("trt-rtx",), out=tmp_path, shape=shape, maximum=maximum_shape)
        shapes = network_shapes(net, config)
        source = tmp_path / "net.onnx"
        FORMATS["onnx"].write(net, source, WriteContext(shapes, {}, config))
        profile = None if shapes.static else shapes.profile
        first, second = (build_engine(source, profile, library=TENSORRT_RTX).plan for _ in range(2))
        assert len(first) == len(second)
        assert first == second or not shapes.static  # a few bytes of dynamic plans differ
        newest = build_engine(source, profile, BuildOptions(compute_capabilities=("12.0",)), library=TENSORRT_RTX)
        assert newest.plan != first
