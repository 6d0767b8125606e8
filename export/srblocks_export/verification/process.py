"""Verification: an artifact is reloaded in a fresh process and compared with the eager network at several sizes."""

import contextlib
import json
import math
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from srblocks.network import Network

from ..shapes import Shapes

# Steps above the smallest batch, height and width that show what one size hides: odd, non-square, two images.
_STEPS = ((0, 16, 22), (1, 23, 39), (0, 30, 11))
# The shape to be quickest at and the largest one are compared as well where they have no more pixels than this, so
# that it costs seconds.
_PIXELS = 128 * 128
_START = "import sys; sys.path[:] = sys.argv[1:]; from srblocks_export.verification.worker import main; main()"


@dataclass(frozen=True)
class Verification:
    """What the comparison found.

    Attributes:
        cases: per shape: `shape`, `max_error` (relative to the reference's standard deviation), `psnr_db`, `problem`.
        problem: why the artifact is rejected; None when it passed.
    """

    cases: tuple[dict[str, Any], ...]
    problem: str | None

    @property
    def max_error(self) -> float | None:
        """Largest relative error of all cases."""
        errors = [case["max_error"] for case in self.cases if case["max_error"] is not None]
        return max(errors, default=None)

    def to_manifest(self) -> dict[str, Any]:
        """Give the figures as the manifest records them."""
        return {
            "status": "fail" if self.problem else "pass",
            "problem": self.problem,
            "max_error": self.max_error,
            "psnr_db": min((case["psnr_db"] for case in self.cases if case["psnr_db"] is not None), default=None),
            "cases": list(self.cases),
        }


class References:
    """Inputs at several sizes and what the eager network makes of them, on disk for the worker.

    Args:
        net: the network in eval mode.
        shapes: the artifact's ranges.
        folder: where to write; it must outlive the verification.
        seed: seed of the noise.
        sizes: "sizes" for several shapes, "one" for the first.
    """

    def __init__(self, net: Network, shapes: Shapes, folder: Path, *, seed: int = 0, sizes: str = "sizes") -> None:
        arrays: dict[str, Any] = {}
        outputs: list[Any] = []
        for number, lr in enumerate(verification_inputs(shapes, seed=seed, sizes=sizes)):
            with torch.inference_mode():
                sr = net(lr).numpy()
            arrays |= {f"lr{number}": lr.numpy(), f"sr{number}": sr}
            outputs.append(sr.ravel())
        self.path = folder / "references.npz"
        self.spread = float(np.concatenate(outputs).astype(np.float64).std()) or 1.0
        self.refused = refused_shapes(shapes)
        np.savez(self.path, **arrays)


class Worker:
    """The fresh process; one of them serves any number of artifacts. Use it as a context manager."""

    def __init__(self, *, seconds: float = 900) -> None:
        """Start nothing yet; an artifact may take `seconds` to load and run."""
        self._seconds = seconds
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop()

    def verify(
        self,
        path: Path,
        references: References,
        tolerance: float,
        min_psnr: float = 0.0,
        *,
        entry: dict[str, Any] | None = None,
    ) -> Verification:
        """Compare the artifact at `path` with the references.

        Args:
            path: the file; its suffix names the format.
            references: inputs and expected outputs.
            tolerance: largest allowed error relative to the standard deviation of the expected outputs.
            min_psnr: smallest allowed PSNR in dB, for a peak of 1, or of four standard deviations where they are more:
                fresh weights give no images.
            entry: the manifest's entry of a file that carries none itself and is not in manifest.json yet.
        """
        answer = self._ask(
            {
                "path": str(path.absolute()),
                "references": str(references.path),
                "spread": references.spread,
                "refused": references.refused,
                "entry": entry,
            }
        )
        cases = tuple(answer.get("cases", ()))
        problem = answer.get("problem")
        least = min_psnr - 20 * math.log10(max(1, 4 * references.spread))
        for case in cases:
            error, psnr = case["max_error"], case["psnr_db"]
            if not case["problem"] and (error is None or not error <= tolerance):
                case["problem"] = f"error {error:.1e} of the output's standard deviation is above {tolerance:.1e}"
            elif not case["problem"] and psnr is not None and min_psnr and psnr < least:
                case["problem"] = f"PSNR of {psnr:.1f} dB is below {least:.1f} dB"
            if case["problem"] and not problem:
                problem = f"at {'x'.join(map(str, case['shape']))}: {case['problem']}"
        return Verification(cases, problem)

    def _stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._process and self._process.poll() is not None:
            self._stop()
        if self._process is None:
            # The same modules as here, and none from the folder that the user happens to be in.
            command = [sys.executable, "-c", _START, *(folder for folder in sys.path if folder)]
            # A session of its own: an interrupt from the keyboard is this process's to handle.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
            )
        process = self._process
        assert process.stdin and process.stdout
        deadline = threading.Timer(self._seconds, process.kill)
        deadline.start()
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            deadline.cancel()
        with contextlib.suppress(json.JSONDecodeError):
            return json.loads(line)
        process.kill()
        return {"problem": f"the process that loaded it died or took over {self._seconds:g} s (exit {process.wait()})"}


def verification_shapes(shapes: Shapes) -> list[tuple[int, int, int, int]]:
    """Shapes to compare at: three of other parity, aspect and batch, the smallest, and the largest if it is small."""
    if shapes.static:
        return [shapes.minimum]
    low, high, step = shapes.minimum, shapes.maximum, shapes.multiple

    def above(axis: int, steps: int) -> int:
        unit = step if axis > 1 else 1
        limit = high[axis]
        steps = steps if limit is None else min(steps, (limit - low[axis]) // unit)
        return low[axis] + steps * unit

    wanted = [(above(0, n), low[1], above(2, h), above(3, w)) for n, h, w in _STEPS]
    wanted.append(low)
    if shapes.optimum and shapes.optimum[0] * shapes.optimum[2] * shapes.optimum[3] <= _PIXELS:
        wanted.append(shapes.optimum)
    if None not in high:
        largest = (above(0, _PIXELS), low[1], above(2, _PIXELS), above(3, _PIXELS))
        if largest[0] * largest[2] * largest[3] <= _PIXELS:
            wanted.append(largest)
    return list(dict.fromkeys(wanted))


def verification_inputs(shapes: Shapes, *, seed: int, sizes: str) -> Iterator[Tensor]:
    """Give the images to compare on: of every shape to compare at, or of the first if `sizes` is "one"."""
    generator = torch.Generator().manual_seed(seed)
    for number, shape in enumerate(verification_shapes(shapes)[: 1 if sizes == "one" else None]):
        yield _content(shape, number, generator)


def refused_shapes(shapes: Shapes) -> list[list[int]]:
    """Shapes just out of range, which the runtime must refuse."""
    n, c, h, w = shapes.minimum
    refused = [[n, c + 1, h, w]]
    if h > shapes.multiple:
        refused.append([n, c, h - shapes.multiple, w])
    if shapes.multiple > 1:
        refused.append([n, c, h, w + 1])
    if shapes.maximum[3] is not None:
        refused.append([n, c, h, shapes.maximum[3] + shapes.multiple])
    return refused


def _content(shape: Sequence[int], number: int, generator: torch.Generator) -> Tensor:
    """Noise, a smooth ramp with some noise, or a noise of black and white, in turn: each hides other errors."""
    noise = torch.rand(shape, generator=generator)
    if number % 3 == 1:
        ramp = torch.linspace(0, 1, math.prod(shape)).reshape(tuple(shape))
        return 0.9 * ramp + 0.1 * noise
    return noise.round() if number % 3 == 2 else noise
