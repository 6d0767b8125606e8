"""Operators that TensorRT's parsers do not support are found, with their nodes and modules."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from helpers.onnx_nodes import AXES, INT64, MAP, Antialiased, Fold, Maximum, Wrapper, model_of, supported, unsupported
from helpers.support import write_artifact
from srblocks.network import Network
from srblocks_export.config import ExportConfig
from srblocks_export.errors import ExportError
from srblocks_export.formats.tensorrt import lint as trt_lint
from srblocks_export.formats.tensorrt.lint import Finding, check, check_misread, lint


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


def test_supported_nodes_are_not_found() -> None:
    for model in supported():
        assert lint(model) == [], model.graph.node[0].op_type


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
