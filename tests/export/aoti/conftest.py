"""The bundled network as an AOTInductor package."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from export.aoti.packages import COMMAND
from srblocks_export import export as exporter
from srblocks_export.cli import main
from srblocks_export.runtime import Artifact, load
from srblocks_export.verification.process import Worker


@pytest.fixture(scope="session")
def export(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Folder with the output and files of an export and verification; compiled once for all xdist workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "aoti"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            export_here(folder, request.getfixturevalue("worker"))
    return folder


def export_here(folder: Path, worker: Worker) -> None:
    """Run the command in this process, in `home`, with `temporary` for temporary files."""
    from torch._inductor import config

    home, temporary = folder / "home", folder / "temporary"
    for path in (home, temporary):
        path.mkdir(parents=True)
    faster = {"aot_inductor.compile_wrapper_opt_level": "O0"}
    with pytest.MonkeyPatch.context() as patch, output_to(folder), config.patch(faster):
        patch.chdir(home)
        patch.setenv("TMPDIR", str(temporary))
        patch.setattr(tempfile, "tempdir", str(temporary))
        patch.setattr(exporter, "Worker", lambda: contextlib.nullcontext(worker))
        main(list(COMMAND))


@contextlib.contextmanager
def output_to(folder: Path) -> Iterator[None]:
    """Redirect standard output and error, including those of libraries and child processes, to files."""
    with (folder / "stdout").open("w") as out, (folder / "stderr").open("w") as err:
        saved = os.dup(1), os.dup(2)
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                yield
        finally:
            for number, copy in enumerate(saved, start=1):
                os.dup2(copy, number)
                os.close(copy)


@pytest.fixture(scope="session")
def folder(export: Path) -> Path:
    return export / "home" / "out"


@pytest.fixture(scope="session")
def package(folder: Path) -> Path:
    return folder / "fsrcnn_x2_fp32_dyn.aoti.pt2"


@pytest.fixture(scope="session")
def artifact(package: Path) -> Artifact:
    return load(package)
