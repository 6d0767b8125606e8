"""Find ONNX nodes that TensorRT rejects or misinterprets, before the engine build.

The rules come from onnx/onnx-tensorrt (docs/operators.md of 8.5, 9.2 and 10.15, docs/Changelog.md up to 10.15, the
importers of 8.x, the static checkers of 9.x and 10.x), the release notes of NVIDIA/TensorRT 11.0 to 11.5 with an
operator table of 11.2, NVIDIA/TensorRT#3467 (axes of reductions) and #3560 (antialiasing). The operators of 8.6 are
those named in the parser of its wheel. The rules of quantization are those of the parser of TensorRT for RTX 1.7, with
which tests compare the whole table.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import ExportError

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

    from ..onnx.graph import Values

Version = tuple[int, int]
_INT32 = 6
"""`onnx.TensorProto.INT32`, without importing onnx."""
TARGETS: dict[str, Version] = {"8.6": (8, 6), "10": (10, 16), "11": (11, 5)}
"""Versions checked by default; a major version stands for its newest release known here."""

_OPERATORS = """
Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast Ceil Celu Clip Concat
Constant ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DepthToSpace DequantizeLinear Div Dropout Einsum Elu Equal
Erf Exp Expand EyeLike Flatten Floor GRU Gather GatherElements GatherND Gemm GlobalAveragePool GlobalLpPool
GlobalMaxPool Greater GreaterOrEqual GridSample GroupNormalization HardSigmoid HardSwish Identity If
InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax Loop
LpNormalization LpPool MatMul Max MaxPool Mean MeanVarianceNormalization Min Mod Mul Neg NonMaxSuppression NonZero Not
OneHot Or PRelu Pad Pow QuantizeLinear RNN RandomNormal RandomNormalLike RandomUniform RandomUniformLike Range
Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
ReduceSumSquare Relu Reshape Resize ReverseSequence RoiAlign Round Scan Scatter ScatterElements ScatterND Selu
Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh
ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Upsample Where Xor
"""
# First version that supports each operator and type; everything else is unsupported.
_IMPORTERS: dict[str, Version] = dict.fromkeys(_OPERATORS.split(), (8, 6)) | {
    **dict.fromkeys(("CastLike", "Hardmax"), (9, 2)),
    "DeformConv": (10, 1),
    **dict.fromkeys(("BlackmanWindow", "HammingWindow", "HannWindow"), (10, 4)),
    "STFT": (10, 5),
    "Attention": (10, 14),
    **dict.fromkeys(("RMSNormalization", "RotaryEmbedding", "TensorScatter"), (10, 15)),
    **dict.fromkeys(("Gelu", "Mish"), (10, 15)),  # at the latest; no document states the first version
    "Swish": (11, 0),
    "DFT": (11, 2),
}
_TYPES: dict[str, Version] = {
    **dict.fromkeys(("UNDEFINED", "FLOAT", "FLOAT16", "INT8", "INT32", "INT64", "BOOL", "UINT8"), (8, 6)),
    **dict.fromkeys(("BFLOAT16", "FLOAT8E4M3FN"), (9, 0)),
    "INT4": (10, 0),
    "FLOAT4E2M1": (10, 8),
}


@dataclass(frozen=True)
class Finding:
    """A node that some TensorRT version rejects or misinterprets.

    Attributes:
        node: name of the node.
        module: path of the module that it comes from; "" for the network itself.
        operator: operator type.
        reason: why.
        targets: affected versions of TensorRT.
        misread: parsers accept the node, but read it otherwise than ONNX means it.
    """

    node: str
    module: str
    operator: str
    reason: str
    targets: tuple[str, ...]
    misread: bool = False


class _Node:
    """A node with its attributes as values, and the known facts about its inputs and outputs."""

    def __init__(self, node: "NodeProto", values: "Values") -> None:
        from onnx import helper

        self.inputs: list[str] = list(node.input)
        self.outputs: list[str] = list(node.output)
        self.attributes: dict[str, Any] = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        self.values = values

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def has(self, position: int) -> bool:
        """Return whether the input at a position is present."""
        return len(self.inputs) > position and bool(self.inputs[position])

    def computed(self, position: int) -> bool:
        """Return whether the input at a position is present and not a constant."""
        return self.has(position) and self.values.constant(self.inputs[position]) is None

    def nonzero(self, position: int) -> bool:
        """Return whether the input at a position is a constant other than 0."""
        value = self.values.constant(self.inputs[position]) if self.has(position) else None
        return value is not None and bool(value.any())

    def resizes(self, mode: str, axes: int) -> bool:
        """Return whether this Resize has the mode and resizes an axis other than the last `axes`."""
        if self.get("mode", "nearest") != mode:
            return False
        scales = self.values.constant(self.inputs[2]) if self.has(2) else None
        if scales is not None and scales.size:
            return any(scale != 1 for scale in scales[:-axes])
        before, after = self.values.shape(self.inputs[0]), self.values.shape(self.outputs[0])
        pairs = zip(before[:-axes], after[:-axes], strict=True) if before and after else ()
        return any(a != b and None not in (a, b) for a, b in pairs)

    def is_diagonal(self) -> bool:
        """Return whether a term of this Einsum has an ellipsis or a repeated letter."""
        terms = self.get("equation", "").replace(" ", "").split("->")[0].split(",")
        return any(len(set(term)) < len(term) for term in terms)


_REDUCTIONS = "ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSumSquare"
_TRANSFORMS = (None, "half_pixel", "pytorch_half_pixel", "tf_half_pixel_for_nn", "asymmetric", "align_corners")
# Operators, unsupported use, first version that supports it (None if there is none yet), and the test of a node.
_Rule = tuple[str, str, Version | None, Callable[[_Node], bool]]
_RULES: tuple[_Rule, ...] = (
    (f"{_REDUCTIONS} ReduceSum ReduceLogSum", "has computed axes", None, lambda n: n.computed(1)),
    ("Resize", "has antialiasing", None, lambda n: bool(n.get("antialias"))),
    ("Resize", "keeps an aspect ratio", None, lambda n: n.get("keep_aspect_ratio_policy", "stretch") != "stretch"),
    (
        "Resize",
        "maps coordinates otherwise",
        None,
        lambda n: n.get("coordinate_transformation_mode") not in _TRANSFORMS,
    ),
    ("Resize", "is cubic along an axis other than the last two", None, lambda n: n.resizes("cubic", 2)),
    ("Resize", "is linear along an axis other than the last three", None, lambda n: n.resizes("linear", 3)),
    ("Resize", "has an axes attribute", (10, 0), lambda n: n.get("axes") is not None),
    ("AveragePool LpPool MaxPool", "has dilations", None, lambda n: any(each != 1 for each in n.get("dilations", ()))),
    ("MaxPool", "returns indices", None, lambda n: len(n.outputs) > 1),
    ("BatchNormalization", "is in training mode", None, lambda n: bool(n.get("training_mode"))),
    ("ScatterND", "has a reduction", None, lambda n: n.get("reduction", "none") != "none"),
    ("ScatterElements", "has a reduction", (10, 0), lambda n: n.get("reduction", "none") != "none"),
    ("EyeLike", "has a dynamic size", None, lambda n: None in (n.values.shape(n.inputs[0]) or (None,))),
    ("TopK", "is unsorted", None, lambda n: not n.get("sorted", 1)),
    ("CumSum", "has a computed axis", (10, 8), lambda n: n.computed(1)),
    ("Squeeze Unsqueeze", "has computed axes", (10, 7), lambda n: n.computed(1)),
    ("Squeeze", "has no axes", (11, 5), lambda n: not n.has(1) and n.get("axes") is None),
    ("Slice", "has computed axes", (10, 3), lambda n: n.computed(3)),
    ("Pad", "has computed axes", (10, 4), lambda n: n.computed(3)),
    ("Einsum", "has an ellipsis or a diagonal", (10, 12), _Node.is_diagonal),
    ("QuantizeLinear DequantizeLinear", "has a zero point other than 0", None, lambda n: n.nonzero(2)),
    ("DequantizeLinear", "has elements of INT32", None, lambda n: n.values.dtype(n.inputs[0]) == _INT32),
    ("GridSample", "samples volumes", (11, 2), lambda n: len(n.values.shape(n.inputs[0]) or ()) == 5),
)
_MISREAD: tuple[_Rule, ...] = (
    # 8.6 silently reduces over all axes.
    (_REDUCTIONS, "has its axes as an input", (10, 1), lambda n: n.has(1)),
    # Without a zero point, ONNX quantizes to UINT8, and TensorRT to INT8.
    ("QuantizeLinear", "has neither zero point nor type", None, lambda n: not n.has(2) and not n.get("output_dtype")),
)
"""Uses that parsers accept, but read otherwise than ONNX means them."""


class _Fault(NamedTuple):
    """An unsupported use of a node, the first version that supports it, and whether parsers accept it all the same."""

    reason: str
    since: Version | None
    misread: bool = False


def lint(model: "ModelProto | Path", *, target: str | None = None) -> list[Finding]:
    """Return the nodes that TensorRT's parser rejects or misinterprets, including those in subgraphs and functions.

    Args:
        model: a model or its file.
        target: a version such as "8.6", "10.15.1" or "11"; None for all of `TARGETS`.
    """
    from ..onnx.graph import Values, scopes

    model = _loaded(model)
    versions = TARGETS if target is None else {target: TARGETS.get(target) or _version(target)}
    functions = {(function.domain, function.name) for function in model.functions}
    bindings = {value.name for value in (*model.graph.input, *model.graph.output)}
    findings: list[Finding] = []
    for scope in scopes(model):
        values = Values(scope)
        for node in (node for graph in scope for node in graph.node):
            faults = _call(node) if (node.domain, node.op_type) in functions else _faults(node, values, bindings)
            module = node.name.rpartition("/")[0]
            for reason, since, misread in faults:
                rejecting = tuple(name for name, version in versions.items() if since is None or version < since)
                if rejecting:
                    findings.append(Finding(node.name, module, node.op_type, reason, rejecting, misread))
    return findings


def check_misread(model: "ModelProto | Path", target: str) -> None:
    """Raise for nodes that the parser of `target` accepts, but reads otherwise than ONNX means them.

    Args:
        model: a model or its file.
        target: a version such as "8.6", "10.15.1" or "11".

    Raises:
        ExportError: E503, naming the operators, nodes and modules.
    """
    if found := _texts(finding for finding in lint(model, target=target) if finding.misread):
        raise ExportError(503, ", ".join(text for _, text in found), "replace these operators, or use onnxruntime")


def check(model: "ModelProto | Path", *, target: str | None = None) -> list[str]:
    """Raise if `target` (or, without one, every version) rejects a node; return warnings for the other findings.

    Raises:
        ExportError: E503, naming the operators, nodes and modules.
    """
    model = _loaded(model)
    fatal: list[str] = []
    warnings: list[str] = []
    for first, text in _texts(lint(model, target=target)):
        if target or len(first.targets) == len(TARGETS):
            fatal.append(text)
        else:
            warnings.append(f"TensorRT {' and '.join(first.targets)}: {text}")
    if fatal:
        able = [name for name in TARGETS if target and not lint(model, target=name)]
        remedy = f"use TensorRT {able[-1]}, or " if able else ""
        raise ExportError(503, ", ".join(fatal), f"{remedy}replace these operators, or use onnxruntime")
    return warnings


def _texts(findings: Iterable[Finding]) -> list[tuple[Finding, str]]:
    """Return one line for all nodes with the same operator and reason, and the first of them."""
    lines: list[tuple[Finding, str]] = []
    found = sorted(findings, key=lambda finding: (finding.operator, finding.reason))
    for (operator, reason), group in groupby(found, lambda finding: (finding.operator, finding.reason)):
        first, *others = group
        module = f", module {first.module}" if first.module else ""
        more = f", and {len(others)} more" if others else ""
        lines.append((first, f"operator {operator} {reason} (node {first.node}{module}{more})"))
    return lines


def _loaded(model: "ModelProto | Path") -> "ModelProto":
    import onnx

    return onnx.load(model, load_external_data=False) if isinstance(model, Path) else model


def _call(node: "NodeProto") -> Iterator[_Fault]:
    yield _Fault(_reason(f"is the model function {node.op_type}", (9, 0)), (9, 0))


def _faults(node: "NodeProto", values: "Values", bindings: set[str]) -> Iterator[_Fault]:
    """Yield the unsupported uses of a node."""
    from onnx import TensorProto

    importer = _IMPORTERS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if importer is None:
        # Operators of other domains are taken for those of ONNX with the same name.
        yield _Fault("has no TensorRT importer", None, misread=node.op_type in _IMPORTERS)
        return
    yield _Fault(f"has no TensorRT importer before {_text(importer)}", importer)
    known = _Node(node, values)
    for rules, misread in ((_RULES, False), (_MISREAD, True)):
        for operators, what, since, holds in rules:
            if node.op_type in operators.split() and holds(known):
                yield _Fault(_reason(what, since), since, misread)
    names = [*node.input, *node.output]
    kinds = {values.dtype(name) for name in names} | ({known.get("to")} if node.op_type == "Cast" else set())
    for kind in sorted(kinds):
        name = TensorProto.DataType.Name(kind)
        since = _TYPES.get(name)
        yield _Fault(_reason(f"has elements of {name}", since), since, misread=name == "DOUBLE")
    if any(values.dtype(name) == TensorProto.UINT8 for name in names if name not in bindings):
        yield _Fault(_reason("has elements of UINT8 between nodes", None), None, misread=True)


def _reason(what: str, since: Version | None) -> str:
    return f"{what}, which TensorRT {f'supports since {_text(since)}' if since else 'does not support'}"


def _text(version: Version) -> str:
    return ".".join(map(str, version))


def _version(text: str) -> Version:
    major, minor, *_ = (*text.split("."), "0")
    return int(major), int(minor)
