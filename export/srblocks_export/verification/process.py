"""The fresh process of the verification, seen from the export."""

import contextlib
import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..manifest import CaseInfo, VerificationInfo
from .compare import judge

if TYPE_CHECKING:
    from .inputs import References

_START = "import sys; sys.path[:] = sys.argv[1:]; from srblocks_export.verification.worker import main; main()"


class Worker:
    """A fresh Python process that loads artifacts and compares them; it serves any number of them.

    Use it as a context manager; the process starts with the first artifact.

    Args:
        seconds: time limit to load and run one artifact.
    """

    def __init__(self, *, seconds: float = 900) -> None:
        self._seconds = seconds
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop()

    def verify(
        self,
        path: Path,
        references: "References",
        tolerance: float,
        min_psnr: float = 0.0,
        *,
        entry: dict[str, Any] | None = None,
    ) -> VerificationInfo:
        """Compare the artifact at `path` with the references.

        Args:
            path: the file; its suffix determines the format.
            references: inputs and expected outputs.
            tolerance: largest allowed error relative to the standard deviation of the expected outputs.
            min_psnr: smallest allowed PSNR in dB, see `srblocks_export.verification.compare.judge`.
            entry: the manifest of a file without an embedded one that is not in manifest.json yet.
        """
        answer = self._ask(
            {
                "path": str(path.absolute()),
                "references": str(references.path),
                "spread": references.spread,
                "rejected": references.rejected,
                "entry": entry,
            }
        )
        limits = {"spread": references.spread, "tolerance": tolerance, "min_psnr": min_psnr}
        cases = tuple(judge(CaseInfo(**case), **limits) for case in answer.get("cases", ()))
        found = VerificationInfo(cases, answer.get("problem"))
        failed = next((case for case in cases if case.problem), None)
        if failed and not found.problem:
            return replace(found, problem=f"at {'x'.join(map(str, failed.shape))}: {failed.problem}")
        return found

    def inspect(self, path: Path, entry: dict[str, Any]) -> VerificationInfo:
        """Check an artifact that no device here can run as far as its format can.

        Args:
            path: the file.
            entry: its manifest.
        """
        answer = self._ask({"path": str(path.absolute()), "entry": entry})
        return VerificationInfo((), answer.get("problem"), executed=False, checks=tuple(answer.get("checks", ())))

    def _stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._process and self._process.poll() is not None:
            self._stop()
        if self._process is None:
            # The same search path, but without the current folder, which may hold a json.py or torch.py.
            command = [sys.executable, "-c", _START, *(folder for folder in sys.path if folder)]
            # A session of its own: this process handles Ctrl-C.
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
