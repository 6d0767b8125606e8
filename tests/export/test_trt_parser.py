"""The parser of TensorRT for RTX: its answers, and the table of rules for versions that are not installed."""

import re
from pathlib import Path

import onnx
import pytest
from onnx import ModelProto

from helpers.onnx_nodes import INT64, MAP, Antialiased, Fold, Twice, Wrapper, model_of, supported, unsupported
from helpers.support import needs_rtx
from srblocks_export.config import ExportConfig
from srblocks_export.errors import ExportError
from srblocks_export.export import export_network
from srblocks_export.formats import FORMATS
from srblocks_export.formats.tensorrt import exporter
from srblocks_export.formats.tensorrt import lint as trt_lint
from srblocks_export.formats.tensorrt.lint import check_misread, lint
from srblocks_export.formats.tensorrt.trt_engine import TENSORRT_RTX, EngineError, build_engine, library_logger
from srblocks_export.formats.tensorrt.trt_engine.parsing import parse

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
