"""Operators that TensorRT's parsers do not support are found, with their nodes and modules."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import ModelProto, TensorProto, helper, numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F

from helpers.support import needs_rtx, write_artifact
from srblocks.network import Network
from srblocks_export.config import ExportConfig
from srblocks_export.errors import ExportError
from srblocks_export.export import export_network
from srblocks_export.formats import FORMATS
from srblocks_export.formats.tensorrt import exporter
from srblocks_export.formats.tensorrt import lint as trt_lint
from srblocks_export.formats.tensorrt.lint import Finding, check, check_misread, lint
from srblocks_export.formats.tensorrt.trt_engine import TENSORRT_RTX, EngineError, build_engine, library_logger
from srblocks_export.formats.tensorrt.trt_engine.parsing import parse

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
MAP = (FLOAT, ["n", 4, "h", "w"])
AXES = np.array([1], np.int64)
COMPUTED = (INT64, [1])
SCALES = np.array([1, 1, 2, 2], np.float32)


def model_of(
    operator: str, *inputs: Any, outputs: tuple[Any, ...] = (MAP,), domain: str = "", **attributes: Any
) -> ModelProto:
    """Return a model with one node `net/odd`: arrays are constants, types with shapes are inputs, None is omitted."""
    names = ["" if value is None else f"in{place}" for place, value in enumerate(inputs)]
    pairs = list(zip(names, inputs, strict=True))
    node = helper.make_node(
        operator, names, [f"out{place}" for place in range(len(outputs))], "net/odd", domain=domain, **attributes
    )
    graph = helper.make_graph(
        [node],
        "graph",
        [helper.make_tensor_value_info(name, *value) for name, value in pairs if isinstance(value, tuple)],
        [helper.make_tensor_value_info(f"out{place}", *value) for place, value in enumerate(outputs)],
        [
            numpy_helper.from_array(np.asarray(value), name)
            for name, value in pairs
            if isinstance(value, (np.ndarray, np.generic))
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("other", 1)])


def resize(scales: Any = SCALES, **attributes: Any) -> ModelProto:
    return model_of("Resize", MAP, None, scales, **attributes)


def unsupported() -> list[tuple[ModelProto, str, list[str]]]:
    """Return models with one unsupported node, the reason, and the versions that do not support it."""
    return [
        (model_of("ReduceMax", MAP, AXES), "has its axes as an input", ["8.6"]),
        (model_of("ReduceSum", MAP, COMPUTED), "has computed axes", ["8.6", "10", "11"]),
        (resize(mode="linear", antialias=1), "has antialiasing", ["8.6", "10", "11"]),
        (resize(keep_aspect_ratio_policy="not_larger"), "keeps an aspect ratio", ["8.6", "10", "11"]),
        (
            resize(coordinate_transformation_mode="tf_crop_and_resize"),
            "maps coordinates otherwise",
            ["8.6", "10", "11"],
        ),
        (
            resize(np.array([1, 2, 2, 2], np.float32), mode="cubic"),
            "is cubic along an axis other than the last two",
            ["8.6", "10", "11"],
        ),
        (
            resize(np.array([2, 1, 1, 1], np.float32), mode="linear"),
            "is linear along an axis other than the last three",
            ["8.6", "10", "11"],
        ),
        (resize(SCALES[2:], axes=[2, 3]), "has an axes attribute", ["8.6"]),
        (model_of("MaxPool", MAP, kernel_shape=[3, 3], dilations=[2, 2]), "has dilations", ["8.6", "10", "11"]),
        (model_of("MaxPool", MAP, outputs=(MAP, MAP), kernel_shape=[2, 2]), "returns indices", ["8.6", "10", "11"]),
        (
            model_of("BatchNormalization", MAP, *[np.ones(4, np.float32)] * 4, outputs=(MAP,) * 3, training_mode=1),
            "is in training mode",
            ["8.6", "10", "11"],
        ),
        (
            model_of("ScatterND", MAP, np.zeros((1, 1), np.int64), MAP, reduction="add"),
            "has a reduction",
            ["8.6", "10", "11"],
        ),
        (model_of("ScatterElements", MAP, (INT64, MAP[1]), MAP, reduction="add"), "has a reduction", ["8.6"]),
        (model_of("EyeLike", (FLOAT, ["n", 4])), "has a dynamic size", ["8.6", "10", "11"]),
        (model_of("TopK", MAP, AXES, outputs=(MAP, (INT64, MAP[1])), sorted=0), "is unsorted", ["8.6", "10", "11"]),
        (model_of("CumSum", MAP, COMPUTED), "has a computed axis", ["8.6"]),
        (model_of("Unsqueeze", MAP, COMPUTED), "has computed axes", ["8.6"]),
        (model_of("Squeeze", MAP), "has no axes", ["8.6", "10"]),
        (model_of("Slice", MAP, AXES, AXES, COMPUTED), "has computed axes", ["8.6"]),
        (model_of("Pad", MAP, np.array([1, 1]), None, COMPUTED), "has computed axes", ["8.6"]),
        (model_of("Einsum", (FLOAT, ["n", 4, 4]), equation="bii->bi"), "has an ellipsis or a diagonal", ["8.6"]),
        (model_of("GridSample", (FLOAT, [1, 1, 2, 2, 2]), (FLOAT, [1, 2, 2, 2, 3])), "samples volumes", ["8.6", "10"]),
        (
            model_of("QuantizeLinear", MAP, np.float32(1), np.int8(3), outputs=((TensorProto.INT8, MAP[1]),)),
            "has a zero point other than 0",
            ["8.6", "10", "11"],
        ),
        (
            model_of("DequantizeLinear", (TensorProto.INT32, MAP[1]), np.float32(1)),
            "has elements of INT32",
            ["8.6", "10", "11"],
        ),
        (model_of("Col2Im", MAP, AXES, AXES), "has no TensorRT importer", ["8.6", "10", "11"]),
        (model_of("Relu", MAP, domain="other"), "has no TensorRT importer", ["8.6", "10", "11"]),
        (model_of("Gelu", MAP), "has no TensorRT importer before 10.15", ["8.6"]),
        (model_of("Swish", MAP), "has no TensorRT importer before 11.0", ["8.6", "10"]),
        (model_of("Cast", MAP, to=TensorProto.DOUBLE), "has elements of DOUBLE", ["8.6", "10", "11"]),
        (model_of("Relu", (TensorProto.BFLOAT16, [1])), "has elements of BFLOAT16", ["8.6"]),
        (
            model_of("Add", (TensorProto.UINT8, [1]), np.ones(1, np.uint8), outputs=((TensorProto.UINT8, [1]),)),
            "has elements of UINT8 between nodes",
            ["8.6", "10", "11"],
        ),
    ]


def test_unsupported_nodes_are_found_with_the_reason() -> None:
    examples = unsupported()
    for model, reason, targets in examples:
        case = f"{model.graph.node[0].op_type} {reason}"
        (found,) = lint(model)
        assert (found.node, found.module, found.operator) == ("net/odd", "net", model.graph.node[0].op_type), case
        assert found.reason.startswith(reason), case
        assert list(found.targets) == targets, case
        assert [target for target in trt_lint.TARGETS if lint(model, target=target)] == targets, case
    rules = {reason for _, reason, _, _ in (*trt_lint._RULES, *trt_lint._MISREAD)}
    assert rules <= {reason for _, reason, _ in examples}, "a rule without an example"


def supported() -> list[ModelProto]:
    """Return models with one node that every version supports."""
    return [
        model_of("ReduceSum", MAP, AXES),
        model_of("ReduceMax", MAP),
        resize(mode="cubic", antialias=0),
        resize(np.array([1, 2, 2, 2], np.float32), mode="linear"),
        resize(np.array([2, 2, 2, 2], np.float32), mode="nearest"),
        model_of("MaxPool", MAP, kernel_shape=[3, 3], dilations=[1, 1]),
        model_of("EyeLike", (FLOAT, [4, 4])),
        model_of("Unsqueeze", MAP, AXES),
        model_of("Slice", MAP, COMPUTED, COMPUTED, AXES),
        model_of("Einsum", MAP, MAP, equation="bchw, bdhw -> bcd"),
        model_of("Cast", (TensorProto.UINT8, MAP[1]), to=FLOAT),
        model_of("Conv", (TensorProto.FLOAT16, MAP[1]), np.ones((4, 4, 1, 1), np.float16)),
    ]


def test_supported_nodes_are_not_found() -> None:
    for model in supported():
        assert lint(model) == [], model.graph.node[0].op_type


DIFFERENT_IN_RTX = {
    "operator CausalConvWithState": "newer than the table",
    "operator LinearAttention": "newer than the table",
    "operator DFT": "a plug-in, which RTX does not have",
    "operator DeformConv": "a plug-in, which RTX does not have",
    "ScatterElements has a reduction": "RTX has none",
    "Unsqueeze has computed axes": "TensorRT takes them since 10.7, RTX does not",
    "TopK is unsorted": "RTX sorts",
}
"""Where TensorRT for RTX differs from the table for TensorRT 11, and why."""


@needs_rtx
def test_table_agrees_with_the_real_parser() -> None:
    trt = TENSORRT_RTX.load()
    logger = library_logger(trt)
    builder = trt.Builder(logger)

    def rejected(model: ModelProto) -> bool:
        try:
            parse(trt, builder.create_network(1), model.SerializeToString(), "RTX", logger)
        except EngineError:
            return True
        return False

    parser = trt.OnnxParser(builder.create_network(1), logger)
    known = {schema.name for schema in onnx.defs.get_all_schemas_with_history() if not schema.domain}
    assert len(known) > 200
    differing = {
        f"operator {name}" for name in known if parser.supports_operator(name) != (name in trt_lint._IMPORTERS)
    }
    for model, reason, _ in unsupported():
        found = lint(model, target="11")
        if not any(finding.misread for finding in found) and rejected(model) != bool(found):
            differing.add(f"{model.graph.node[0].op_type} {reason}")
    differing |= {f"{model.graph.node[0].op_type} is supported" for model in supported() if rejected(model)}
    assert differing == DIFFERENT_IN_RTX.keys()


def test_misread_nodes_are_rejected_although_the_parser_takes_them() -> None:
    misread = [model for model, _, _ in unsupported() if any(finding.misread for finding in lint(model, target="11"))]
    assert [model.graph.node[0].op_type for model in misread] == ["Relu", "Cast", "Add"]
    for model in misread:
        with pytest.raises(ExportError, match=r"E503 operator \w+ has .* \(node net/odd, module net\); replace"):
            check_misread(model, "11")


def test_target_versions_are_compared_to_the_minor_version() -> None:
    model = model_of("STFT", MAP, AXES)
    for target in ("10.5", "10.15.1.29", "11"):
        assert lint(model, target=target) == [], target
    for target in ("8.6", "10.0.1", "10.4.0"):
        with pytest.raises(ExportError, match="E503 .* before 10.5 .*; use TensorRT 11, or replace these operators"):
            check(model, target=target)


def test_tables_name_operators_and_types_of_onnx() -> None:
    known = {schema.name for schema in onnx.defs.get_all_schemas_with_history() if not schema.domain}
    assert trt_lint._IMPORTERS.keys() - known == set()
    assert trt_lint._TYPES.keys() - set(TensorProto.DataType.keys()) == set()


def test_nodes_in_branches_and_functions_are_found(tmp_path: Path) -> None:
    inner = model_of("Col2Im", MAP, AXES, AXES).graph
    branch = helper.make_graph(inner.node, "branch", [], inner.output, inner.initializer)
    functions = [
        helper.make_function("here", "paste", ["x", "s"], ["y"], [node], [helper.make_opsetid("", 18)])
        for node in [helper.make_node("Col2Im", ["x", "s", "s"], ["y"], "deep")]
    ]
    nodes = [
        helper.make_node("If", ["c"], ["a"], "if", then_branch=branch, else_branch=branch),
        helper.make_node("paste", ["a", "s"], ["b"], "call", domain="here"),
    ]
    values = [helper.make_tensor_value_info("c", TensorProto.BOOL, []), helper.make_tensor_value_info("s", INT64, [2])]
    graph = helper.make_graph(nodes, "graph", values, [helper.make_tensor_value_info("b", *MAP)])
    model = helper.make_model(graph, functions=functions)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    for given in (model, path):
        assert [(found.node, found.targets) for found in lint(given)] == [
            ("call", ("8.6",)),
            ("net/odd", ("8.6", "10", "11")),
            ("net/odd", ("8.6", "10", "11")),
            ("deep", ("8.6", "10", "11")),
        ]
    with pytest.raises(ExportError, match=r"\(node net/odd, module net, and 2 more\); replace"):
        check(path)


class Fold(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.fold(x.flatten(2).repeat(1, 4, 1), (2 * x.shape[2], 2 * x.shape[3]), 2, stride=2)


class Antialiased(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2.0, mode="bicubic", antialias=True)


class Maximum(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x - x.amax(1, keepdim=True)


class Wrapper(Network):
    """Network with one convolution and a given module."""

    def __init__(self, inner: nn.Module, scale: int = 1) -> None:
        super().__init__(scale=scale, image_channels=2, min_size=4)
        self.body = nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), inner)

    def forward(self, lr: Tensor) -> Tensor:
        return self.body(lr)


def exported(net: Network, folder: Path) -> Path:
    request = ExportConfig(formats=("onnx",), out=folder)
    path = folder / "net.onnx"
    write_artifact(net.eval(), path, request)
    return path


def test_fold_is_rejected_with_node_and_module(tmp_path: Path) -> None:
    path = exported(Wrapper(Fold(), scale=2), tmp_path)
    with pytest.raises(ExportError) as caught:
        check(path)
    assert str(caught.value).replace("col2im.Col2Im", "col2im") == (  # the name in torch 2.7
        "E503 operator Col2Im has no TensorRT importer (node body.1/col2im, module body.1); "
        "replace these operators, or use onnxruntime"
    )
    assert caught.value.exit_code == 5
    for target in ("8.6", "10.15.1", "11.5"):
        with pytest.raises(ExportError, match="E503 operator Col2Im has no TensorRT importer .node body.1/col2im"):
            check(path, target=target)


class Twice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        y = F.interpolate(F.interpolate(x, scale_factor=2.0, mode="bicubic", antialias=True), scale_factor=0.5)
        return y + x.new_zeros(x.shape).scatter_reduce(1, torch.zeros_like(x, dtype=torch.int64), x, "amax")


@needs_rtx
def test_rejections_of_the_real_parser_name_node_and_module(tmp_path: Path) -> None:
    for inner, scale, expected in (
        (Fold(), 2, r"operator Col2Im is rejected: it has no importer \(node body.1/col2im\S*, module body.1\)"),
        (Antialiased(), 2, r"operator Resize is rejected: Antialiasing is not supported currently \(node body.1/\S+, "),
        (Twice(), 1, r"Resize is rejected: Antialiasing .*, module body.1\)"),
    ):
        config = ExportConfig(formats=("trt-rtx",), out=tmp_path, maximum=(1, 2, 16, 16), verify="off", force=True)
        source, engine = export_network(Wrapper(inner, scale).eval(), config)
        assert source.error is None
        assert engine.error is not None
        assert engine.error.exit_code == 5
        text = str(engine.error)
        assert re.search(rf"^E503 trt-rtx: TensorRT for RTX 1\S+: .*{expected}", text), text
        assert "Assertion" not in text
        assert ".cpp" not in text


@needs_rtx
def test_rejection_without_a_name_is_named_from_the_file(tmp_path: Path) -> None:
    source = tmp_path / "odd.onnx"
    onnx.save(model_of("ScatterElements", MAP, (INT64, MAP[1]), MAP, reduction="add"), source)
    with pytest.raises(EngineError, match=r"E503 .* \(node number 0\)") as caught:
        build_engine(source, library=TENSORRT_RTX)
    error = exporter.export_error(FORMATS["trt-rtx"], caught.value, source)
    assert "operator ScatterElements is rejected: Unsupported reduction type (node net/odd, module net)" in str(error)


def test_antialiasing_is_rejected(tmp_path: Path) -> None:
    path = exported(Wrapper(Antialiased(), scale=2), tmp_path)
    with pytest.raises(ExportError, match=r"E503 operator Resize has antialiasing, which TensorRT does not support"):
        check(path)


def test_node_unsupported_by_an_old_version_is_a_warning(tmp_path: Path) -> None:
    path = exported(Wrapper(Maximum()), tmp_path)
    (found,) = lint(path)
    reason = "has its axes as an input, which TensorRT supports since 10.1"
    assert found == Finding("body.1/amax.ReduceMax", "body.1", "ReduceMax", reason, ("8.6",), misread=True)
    with pytest.raises(ExportError, match="E503 operator ReduceMax has its axes as an input"):
        check_misread(path, "8.6")
    check_misread(path, "11")
    assert check(path) == [f"TensorRT 8.6: operator ReduceMax {reason} (node body.1/amax.ReduceMax, module body.1)"]
    assert check(path, target="10.15.1") == []
    with pytest.raises(ExportError, match="E503 operator ReduceMax .*; use TensorRT 11, or replace these operators"):
        check(path, target="8.6.0")
