"""Run commands in processes with limited resources, faults and signals.

Each command is a fork of a server process that has already imported all modules.
"""

import contextlib
import dataclasses
import importlib
import json
import os
import resource
import runpy
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

PROGRAMS = {
    "export": ("srblocks_export.cli", "main"),
    "upscale": ("srblocks.inference.cli", "main"),
    "evaluate": ("srblocks.evaluate.cli", "main"),
    "call": ("commands", "call"),
}
EVERYTHING = ["srblocks_export.export", "srblocks_export.report", "srblocks.inference.batch", "srblocks.evaluate.run"]
TIMEOUT_S = 240
_START = "import sys; sys.path[:] = sys.argv[2:]; from commands import serve; serve(sys.argv[1])"
# A small and a read-only file system, visible only to the server and its children.
_MOUNT = 'mount -t tmpfs -o size=1m none "$0/small" && mount -t tmpfs -o ro,size=64k none "$0/read-only" && exec "$@"'


@dataclasses.dataclass(frozen=True)
class Finished:
    """Result of a command: exit code (negative for a signal) and output."""

    code: int
    out: str
    err: str


class Running:
    """A running command."""

    def __init__(self, server: "Commands", pid: int, texts: Path) -> None:
        self.pid = pid
        self._server, self._texts = server, texts

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal; the process may have ended, but its PID is not reused before `wait`."""
        os.kill(self.pid, number)

    def wait(self) -> Finished:
        """Wait for the command to end, and return its result."""
        code = self._server.ask({"wait": self.pid})
        out, err = (
            (self._texts / name).read_text() if (self._texts / name).exists() else "" for name in ("out", "err")
        )
        return Finished(code, out, err)


class Commands:
    """Context manager that starts commands as forks of one server process.

    Args:
        folder: working folder; where mounting is allowed, its subfolder `small` is a file system of 1 MiB and
            `read-only` is read-only.
        modules: modules that the server imports.
        warm: export every format once in the server, to trigger lazy imports.
    """

    def __init__(self, folder: Path, modules: Sequence[str] = EVERYTHING, *, warm: bool = True) -> None:
        self.folder = folder
        for name in ("small", "read-only"):
            (folder / name).mkdir(parents=True)
        folder.chmod(0o755)
        python = [sys.executable, "-c", _START, json.dumps({"modules": list(modules), "warm": warm})]
        command = [*python, str(Path(__file__).parent), *filter(None, sys.path)]
        mount = ["unshare", "-m", "sh", "-c", _MOUNT, str(folder)]
        self.can_mount = (
            shutil.which("unshare") is not None
            and subprocess.run([*mount, "true"], capture_output=True, check=False).returncode == 0
        )
        self._process = subprocess.Popen(
            [*mount, *command] if self.can_mount else command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
        )
        self._count = 0

    def __enter__(self) -> "Commands":
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.communicate()

    def host_path(self, path: Path) -> Path:
        """Return the path of a file in the file systems of the server, for this process."""
        return Path(f"/proc/{self._process.pid}/root{path}")

    def ask(self, request: dict[str, Any]) -> int:
        """Send a request to the server and return its answer."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        ready, _, _ = select.select([self._process.stdout], [], [], TIMEOUT_S)
        if not ready and "wait" in request:
            os.kill(request["wait"], signal.SIGKILL)
            raise TimeoutError(f"a command took more than {TIMEOUT_S} s")
        return int(self._process.stdout.readline())

    def start(self, program: str, *arguments: object, **conditions: Any) -> Running:
        """Start a command.

        Args:
            program: key of `PROGRAMS`; "call" takes a Python file, the name of a function in it and its arguments.
            arguments: command-line arguments.
            conditions: environment of the command, see `_prepare`.
        """
        self._count += 1
        texts = self.folder / f"texts{self._count}"
        texts.mkdir()
        texts.chmod(0o777)
        request = {"program": program, "arguments": [str(each) for each in arguments], "texts": str(texts)}
        return Running(self, self.ask(request | {"conditions": conditions}), texts)

    def run(self, program: str, *arguments: object, **conditions: Any) -> Finished:
        """Run a command and return its result."""
        return self.start(program, *arguments, **conditions).wait()


def serve(settings: str) -> None:
    """Answer requests: start a command (answer: its PID) or wait for one (answer: its exit code)."""
    chosen = json.loads(settings)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for module in chosen["modules"]:
        importlib.import_module(module)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    if chosen["warm"]:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
            formats = ["--onnx", "--torchscript", "--pt2"]
            _main("export", [*formats, "--shape", "1x1x8x8", "--verify", "off", "-q", "-o", folder])
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            print(os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1]), file=answers)
            continue
        pid = os.fork()
        if pid == 0:
            answers.close()
            os._exit(_child(request))
        print(pid, file=answers)


def _main(program: str, arguments: list[str]) -> int:
    module, name = PROGRAMS[program]
    return getattr(importlib.import_module(module), name)(arguments)


def _child(request: dict[str, Any]) -> int:
    """Run a command like the script of an entry point in a fresh interpreter."""
    os.setsid()
    try:
        _prepare(Path(request["texts"]), **request["conditions"])
        code = _main(request["program"], request["arguments"])
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError as error:
        print(f"Exception ignored while flushing standard output: {error}", file=sys.stderr)
        code = 120
    return code or 0


def _prepare(
    texts: Path,
    *,
    out: str | None = None,
    err: str | None = None,
    temporary: str | None = None,
    limits: dict[str, int] | None = None,
    more_memory: int | None = None,
    nobody: bool = False,
    absent: Sequence[str] = (),
    patch: Sequence[str] = (),
    current: str | None = None,
    die_at: int | None = None,
    below: str = "/",
) -> None:
    """Set up the environment of a command.

    Args:
        texts: folder for the standard output and standard error.
        out: file for the standard output instead, or "closed".
        err: file for the standard error instead, or "closed".
        temporary: folder for temporary files; default: `texts`.
        limits: resource limits, by name in `resource`.
        more_memory: limit of the address space, in bytes above the current use.
        nobody: run as an unprivileged user.
        absent: modules that appear not to be installed.
        patch: a Python file, the name of a function in it that is called first, and its arguments.
        current: working directory of the command.
        die_at: kill the process before its n-th file access, counted from 1.
        below: folder whose accesses are counted.
    """
    _redirect(out or str(texts / "out"), err or str(texts / "err"))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if current:
        os.chdir(current)
    os.environ["TMPDIR"] = temporary or str(texts)  # removed after the test, even if the command is killed
    tempfile.tempdir = None
    if absent:
        sys.meta_path[:] = [_Without(sys.meta_path[:], set(absent))]
    if patch:
        call([*patch])
    if die_at:
        _die(die_at, below)
    if nobody and os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    for name, value in (limits or {}).items():
        resource.setrlimit(getattr(resource, name), (value, value))
    if more_memory:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used + more_memory, used + more_memory))


def _redirect(out: str, err: str) -> None:
    """Redirect the standard streams to files, or close them."""
    for descriptor, path in ((0, os.devnull), (1, out), (2, err)):
        if path == "closed":
            os.close(descriptor)
            setattr(sys, ("stdin", "stdout", "stderr")[descriptor], None)
        else:
            opened = os.open(path, os.O_RDWR | os.O_CREAT if descriptor else os.O_RDONLY, 0o666)
            os.dup2(opened, descriptor)
            os.close(opened)


class _Without:
    """Import finder that hides some modules."""

    def __init__(self, finders: list[Any], absent: set[str]) -> None:
        self._finders, self._absent = finders, absent

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] in self._absent:
            return None
        found = (finder.find_spec(name, path, target) for finder in self._finders)
        return next((spec for spec in found if spec), None)

    def find_distributions(self, *arguments: Any, **names: Any) -> Iterator[Any]:
        for finder in self._finders:
            for found in getattr(finder, "find_distributions", lambda *_, **__: ())(*arguments, **names):
                if str(found.metadata["Name"]).replace("-", "_").lower() not in {n.lower() for n in self._absent}:
                    yield found


def _die(number: int, below: str) -> None:
    """Kill this process before its n-th file access: open, rename, remove, mkdir or chmod."""
    left = number

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.chmod") and any(
            isinstance(each, (str, os.PathLike)) and os.fspath(each).startswith(below) for each in arguments
        ):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def call(arguments: list[str]) -> int:
    """Call a function of a Python file with strings as arguments."""
    file, name, *words = arguments
    runpy.run_path(file)[name](*words)
    return 0
