"""Allowlist for the contents of torch.export programs, checked before loading.

torch's loader unpickles weights, constants and example inputs, and evaluates sizes, guards and operator names as
Python.
"""

import ast
import io
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch

_NAMES = re.compile(
    r"[^/]+/(byteorder|version|archive_format|archive_version|\.data/(version|serialization_id)|models/model\.json"
    r"|data/(weights/(weight_\d+|model_weights_config\.json)|constants/(tensor_\d+|model_constants_config\.json))"
    r"|data/sample_inputs/model\.pt|extra/srblocks\.json)"
)
# ATen operators, except those that read or write files, and arithmetic on sizes.
_OPERATORS = re.compile(
    r"torch\.ops\.aten\.(?!save\.|from_file\.)\w+\.\w+|torch\.sym_\w+|math\.(ceil|floor|trunc|sqrt)"
    r"|_operator\.(add|sub|mul|truediv|floordiv|mod|neg|pos|eq|ne|lt|le|gt|ge|and_|or_|getitem)"
)
_CALLS = re.compile(
    "Symbol|Integer|Float|Rational|Add|Mul|Mod|PythonMod|FloorDiv|CeilDiv|CleanDiv|IntTrueDiv|FloatTrueDiv|Min|Max|Abs"
    "|Identity|CeilToInt|FloorToInt|TruncToInt|ToFloat|Equality|Unequality|(Strict)?(Less|Greater)Than|Eq|Ne|Lt|Le|Gt|Ge"
    "|min|max"
)
_SYMBOL = re.compile(r"z?[su][uf]?\d{1,6}")
_ARITHMETIC = re.compile(r"torch\.sym_\w+")
_INPUT = "lr"
_PARTS = (
    *(ast.Expression, ast.Call, ast.keyword, ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.Load),
    *(ast.UnaryOp, ast.USub, ast.Not, ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod),
    *(ast.BoolOp, ast.And, ast.Or, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE),
)
_CONTEXTS = ("null", "[]")
_CONTAINERS = (None, "builtins.tuple", "builtins.list", "builtins.dict")


def check_program(records: Mapping[str, bytes]) -> None:
    """Check that loading and running a program executes nothing but operations on tensors.

    Raises:
        ValueError: the program contains anything else.
        Exception: the archive is malformed.
    """
    if foreign := [name for name in records if not _NAMES.fullmatch(name)]:
        raise ValueError(f"contains {foreign[0]!r}, which no export writes")
    parts = {name.partition("/")[2]: content for name, content in records.items()}
    for kind in ("weights", "constants"):
        _check_payloads(kind, parts)
    try:
        torch.load(io.BytesIO(parts["data/sample_inputs/model.pt"]), weights_only=True)
    except Exception as error:  # depends on the bytes
        raise ValueError("example inputs must be tensors") from error
    for key, value in _entries(json.loads(parts["models/model.json"])):
        _check_entry(key, value)


def _check_payloads(kind: str, parts: Mapping[str, bytes]) -> None:
    """Check that no tensor is pickled or larger than its file."""
    for payload in json.loads(parts[f"data/{kind}/model_{kind}_config.json"])["config"].values():
        if payload["use_pickle"] is not False:
            raise ValueError(f"contains pickled {kind}")
        size = math.prod(side["as_int"] for side in payload["tensor_meta"]["sizes"])
        if size > len(parts[f"data/{kind}/{payload['path_name']}"]):
            raise ValueError(f"{kind} are larger than their file")


def _check_entry(key: str, value: Any) -> None:
    """Check an entry at any level of the program that torch would look up, import or evaluate."""
    if key in ("target", "as_operator") and not (isinstance(value, str) and _OPERATORS.fullmatch(value)):
        raise ValueError(f"calls {value!r}, which no export writes")
    if key in ("as_custom_obj", "as_graph"):
        raise ValueError(f"contains {key}, which no export writes")
    if key in ("in_spec", "out_spec"):
        _check_structure(json.loads(value)[1])
    for text in [value] if key == "expr_str" else value if key in ("guards_code", "range_constraints") else ():
        check_expression(text)


def check_expression(text: str) -> None:
    """Check that an expression is arithmetic on sizes.

    Raises:
        ValueError, SyntaxError: it is not.
    """
    for node in ast.walk(ast.parse(text, mode="eval")):
        if isinstance(node, ast.Call):
            named = isinstance(node.func, ast.Attribute) or (
                isinstance(node.func, ast.Name) and _CALLS.fullmatch(node.func.id)
            )
        elif isinstance(node, ast.Attribute):
            named = node.attr == "size" or _ARITHMETIC.fullmatch(ast.unparse(node))
        elif isinstance(node, ast.Name):
            named = node.id in {"L", "torch"} or _SYMBOL.fullmatch(node.id) or _CALLS.fullmatch(node.id)
        elif isinstance(node, ast.Constant):
            value = node.value
            is_name = isinstance(value, str) and (value == _INPUT or _SYMBOL.fullmatch(value))
            named = is_name or (isinstance(value, (bool, int, float)) and abs(value) < 2**63)
        else:
            named = isinstance(node, _PARTS)
        if not named:
            raise ValueError(f"evaluates {text[:60]!r}, which no export writes")


def _check_structure(spec: Any) -> None:
    """Check that inputs and outputs are tuples, lists or dictionaries: other classes would be imported by name."""
    if spec["type"] not in _CONTAINERS or spec["context"] not in (None, *_CONTEXTS):
        raise ValueError(f"takes or returns {spec['type']!r}, which no export writes")
    for child in spec["children_spec"]:
        _check_structure(child)


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield every entry of every dictionary in a JSON value."""
    if isinstance(value, dict):
        yield from value.items()
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _entries(inner)
