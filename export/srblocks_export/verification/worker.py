"""The fresh process of the verification: loads artifacts by their files alone and compares them with references.

Reads one JSON request per line from standard input, `{"path", "references", "spread", "refused", "entry"}`, and answers
each with one JSON line. `references` is an .npz with `lr0`, `sr0`, `lr1`, ...; errors are relative to `spread`.
"""

import json
import math
import os
import sys
from typing import Any

import numpy as np

from ..errors import ExportError, InputError
from ..runtime import load


def check(request: dict[str, Any]) -> dict[str, Any]:
    """Load one artifact and compare it with every reference; it must also refuse the shapes that it should."""
    artifact = load(request["path"], entry=request.get("entry"))
    cases: list[dict[str, Any]] = []
    with np.load(request["references"]) as references:
        for number in range(len(references.files) // 2):
            lr, reference = references[f"lr{number}"], references[f"sr{number}"]
            sr = artifact(lr)
            cases.append({"shape": list(lr.shape), **compare(sr, reference, request["spread"])})
    for shape in request["refused"]:
        try:
            artifact(np.zeros(shape, np.float32))
        except InputError:
            continue
        cases.append({"shape": shape, "max_error": None, "psnr_db": None, "problem": "accepted, though out of range"})
    return {"cases": cases}


def compare(sr: Any, reference: Any, spread: float) -> dict[str, Any]:
    """Largest error relative to `spread`, PSNR for a peak of 1, and what else is wrong."""
    if sr.shape != reference.shape:
        problem = f"output is {sr.shape} instead of {reference.shape}"
        return {"max_error": None, "psnr_db": None, "problem": problem}
    if sr.dtype != np.float32:
        return {"max_error": None, "psnr_db": None, "problem": f"output is {sr.dtype} instead of float32"}
    if not np.isfinite(sr).all():
        return {
            "max_error": None,
            "psnr_db": None,
            "problem": f"{int((~np.isfinite(sr)).sum())} values are NaN or infinite",
        }
    difference = sr.astype(np.float64) - reference
    mean_square = float((difference**2).mean())
    psnr = -10 * math.log10(mean_square) if mean_square else None
    return {"max_error": float(np.abs(difference).max()) / spread, "psnr_db": psnr, "problem": None}


def main() -> None:
    """Serve requests until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not come between the answers
    for line in sys.stdin:
        try:
            answer = check(json.loads(line))
        except ExportError as error:
            answer = {"problem": str(error)}
        except Exception as error:  # whatever a backend raises is an answer, not the end of this process
            answer = {"problem": f"{type(error).__name__}: {error}"[:500]}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
