"""The parser of TensorRT for RTX: its answers, and the table of rules for versions that are not installed."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import cast

import onnx
import pytest
from onnx import ModelProto, helper
from torch import nn

from helpers.onnx_nodes import (
    AXES,
    INT64,
    MAP,
    Antialiased,
    Fold,
    Halved,
    Scattered,
    Wrapper,
    model_of,
    published,
    supported,
    unsupported,
)
from helpers.support import needs_rtx
from srblocks_export.config import ExportConfig
from srblocks_export.errors import ExportError
from srblocks_export.export import export_network
from srblocks_export.formats import FORMATS
from srblocks_export.formats.tensorrt import exporter
from srblocks_export.formats.tensorrt import lint as trt_lint
from srblocks_export.formats.tensorrt.engine_format import EngineFormat
from srblocks_export.formats.tensorrt.lint import check_misread, lint
from srblocks_export.formats.tensorrt.trt_engine import TENSORRT_RTX, EngineError, build_engine, library_logger
from srblocks_export.formats.tensorrt.trt_engine.parsing import parse

PLUGIN = "needs a plug-in, which RTX does not have"
DIFFERENT_IN_RTX = {
    "operator CausalConvWithState": "newer than the table, and needs a plug-in",
    "operator LinearAttention": "newer than the table, and needs a plug-in",
    "operator DFT": PLUGIN,
    "operator DeformConv": PLUGIN,
    "ScatterElements has a reduction": "RTX has none",
    "Unsqueeze has computed axes": "TensorRT takes them since 10.7, RTX does not",
    "TopK is unsorted": "RTX sorts",
}
"""Where TensorRT for RTX differs from the table for TensorRT 11, and why."""
NOT_IN_TABLE = {
    **dict.fromkeys(("DFT", "DeformConv", "NonZero", "RoiAlign"), PLUGIN),
    "Attention": "caches, soft caps, masks of causal attention, and keys of other sizes than the values",
    "Celu": "fails for FLOAT16 and BFLOAT16",
    "Clip": "takes no INT8",
    "DequantizeLinear": "takes neither UINT8 nor an odd number of elements of four bits",
    "Dropout": "does not train",
    "Identity": "takes neither sequences nor optional values",
    "LayerNormalization": "has one output",
    "MatMul": "takes no vector with a batch of matrices",
    "Mod": "takes integers, or fmod",
    "OneHot": "internal error for a constant depth",
    "Range": "takes neither FLOAT16 nor BFLOAT16",
    **dict.fromkeys(("ReduceMax", "ReduceMin"), "take no BOOL"),
    "ScatterElements": "RTX has no reductions",
    "TensorScatter": "is linear, of four axes",
}
"""Operators of which TensorRT for RTX rejects a use that the table does not know, and which."""


@pytest.fixture
def rejected() -> Callable[[ModelProto], bool]:
    """Return whether the parser of TensorRT for RTX rejects a model."""
    trt = TENSORRT_RTX.load()
    logger = library_logger(trt)
    builder = trt.Builder(logger)

    def answer(model: ModelProto) -> bool:
        network = builder.create_network(1)
        try:
            parse(trt, network, model.SerializeToString(), "RTX", logger)
        except EngineError as error:
            assert all(str(rejection) in error.cause for rejection in error.rejections)
            assert not re.search(r"Assertion|::|\.cpp|&&", error.cause), error.cause
            return True
        return False

    return answer


@needs_rtx
def test_table_agrees_with_the_real_parser(rejected: Callable[[ModelProto], bool]) -> None:
    trt = TENSORRT_RTX.load()
    logger = library_logger(trt)
    network = trt.Builder(logger).create_network(1)
    parser = trt.OnnxParser(network, logger)
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


@needs_rtx
@pytest.mark.filterwarnings("ignore")  # of ONNX, where it computes with special values
def test_table_agrees_with_the_real_parser_on_models_of_onnx(rejected: Callable[[ModelProto], bool]) -> None:
    models = published()
    assert len(models) > 1000
    assert len({model.graph.node[0].op_type for model in models}) > 150
    missed: set[str] = set()
    refused: set[str] = set()
    for model in models:
        found = lint(model, target="11")
        if not any(finding.misread for finding in found) and rejected(model) != bool(found):
            (refused if found else missed).add(model.graph.node[0].op_type)
    assert refused == set()
    assert missed - NOT_IN_TABLE.keys() == set()


def test_misread_nodes_are_rejected_although_the_parser_takes_them() -> None:
    misread = [model for model, _, _ in unsupported() if any(finding.misread for finding in lint(model, target="11"))]
    assert [model.graph.node[0].op_type for model in misread] == ["QuantizeLinear", "Relu", "Cast", "Add"]
    for model in misread:
        with pytest.raises(ExportError, match=r"E503 operator \w+ has .* \(node net/odd, module net\); replace"):
            check_misread(model, "11")


@needs_rtx
def test_rejections_of_the_real_parser_name_node_and_module(tmp_path: Path) -> None:
    for inner, scale, expected in (
        (
            nn.Sequential(Fold(), Halved(), Antialiased()),
            2,
            r"operator Col2Im is rejected: it has no importer \(node body.1.0/col2im\S*, module body.1.0\), "
            r"operator Resize is rejected: Antialiasing is not supported currently "
            r"\(node body.1.2/\S+, module body.1.2\)",
        ),
        (
            Scattered(),
            1,
            r"operator ScatterElements is rejected: Unsupported reduction type "
            r"\(node body.1/scatter_reduce\S*, module body.1\)",
        ),
    ):
        config = ExportConfig(formats=("trt-rtx",), out=tmp_path, maximum=(1, 2, 16, 16), verify="off", force=True)
        source, engine = export_network(Wrapper(inner, scale).eval(), config)
        assert source.error is None
        assert engine.error is not None
        assert engine.error.exit_code == 5
        text = str(engine.error)
        assert re.fullmatch(rf"E503 trt-rtx: TensorRT for RTX 1[\d.]+: {expected}; replace .*", text), text


def model_with_function(*nodes: onnx.NodeProto) -> ModelProto:
    """Return a model with one node `body.0/call`, whose function has the nodes."""
    model = model_of("odd", MAP, AXES, domain="here")
    model.graph.node[0].name = "body.0/call"
    opset = helper.make_opsetid("", 18)
    model.functions.append(helper.make_function("here", "odd", ["x", "s"], ["y"], nodes, [opset]))
    model.opset_import.append(helper.make_opsetid("here", 1))
    return model


@needs_rtx
def test_rejections_name_nodes_that_the_parser_does_not(tmp_path: Path) -> None:
    source = tmp_path / "odd.onnx"
    scatter = helper.make_node("ScatterElements", ["x", "s", "x"], ["y"], "deep", reduction="add")
    for model, unnamed, named in (
        (
            model_of("ScatterElements", MAP, (INT64, MAP[1]), MAP, reduction="add"),
            "operator ScatterElements is rejected: Unsupported reduction type;",
            "operator ScatterElements is rejected: Unsupported reduction type (node net/odd, module net);",
        ),
        (
            model_with_function(helper.make_node("Col2Im", ["x", "s", "s"], ["y"], "deep")),
            *("operator Col2Im is rejected: it has no importer (node deep, inside body.0/call, module body.0);",) * 2,
        ),
        (
            model_with_function(scatter),
            *("operator ScatterElements is rejected: Unsupported reduction type (inside body.0/call, module body.0);",)
            * 2,
        ),
    ):
        onnx.save(model, source)
        with pytest.raises(EngineError) as caught:
            build_engine(source, library=TENSORRT_RTX)
        assert unnamed in str(caught.value)
        assert named in str(exporter.export_error(cast(EngineFormat, FORMATS["trt-rtx"]), caught.value, source))
