"""Program of the fresh process: load artifacts from their files alone and compare them with references.

It reads one JSON request per line from standard input, ``{"path", "references", "spread", "rejected", "entry"}``, and
answers each with one JSON line. Without ``references`` the artifact cannot run here and is only inspected.
"""

import json
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ExportError, InputError
from ..formats import format_of
from ..manifest import CaseInfo
from ..runtime import load
from .compare import compare


def check(request: dict[str, Any]) -> dict[str, Any]:
    """Load one artifact and compare it with every reference; it must also reject the shapes out of range."""
    if "references" not in request:
        path = Path(request["path"])
        target = format_of(path)
        assert target
        return {"checks": target.inspect(path, request["entry"])}
    artifact = load(request["path"], entry=request.get("entry"))
    cases: list[CaseInfo] = []
    with np.load(request["references"]) as references:
        for number in range(len(references.files) // 2):
            lr, reference = references[f"lr{number}"], references[f"sr{number}"]
            cases.append(replace(compare(artifact(lr), reference, request["spread"]), shape=list(lr.shape)))
    for shape in request["rejected"]:
        try:
            artifact(np.zeros(shape, np.float32))
        except InputError:
            continue
        cases.append(CaseInfo(shape, problem="accepted, although out of range"))
    return {"cases": [asdict(case) for case in cases]}


def main() -> None:
    """Answer requests until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # libraries that print must not garble the answers
    for line in sys.stdin:
        try:
            answer = check(json.loads(line))
        except ExportError as error:
            answer = {"problem": str(error)}
        except Exception as error:  # every backend raises its own types; the process goes on
            answer = {"problem": f"{type(error).__name__}: {error}"[:500]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
