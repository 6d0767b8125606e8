"""Run the tests against the installed wheel, with any version of torch: `make test-wheel TORCH=2.7.1`."""

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
DEPEND_ON_TORCH = ("torch==", "torchvision==")
"""Constraints that are valid only with the default version of torch."""


def run(*command: str | Path, **options) -> None:
    """Run a command; exit with its code if it fails."""
    if code := subprocess.run([str(part) for part in command], check=False, **options).returncode:
        sys.exit(code)


def install(folder: Path, torch: str | None) -> Path:
    """Build the wheel, install it with the test dependencies, and return the folder of the executables."""
    programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    pip = (programs / "python", "-m", "pip", "--quiet")
    constraints = folder / "constraints.txt"
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines(keepends=True)
    if torch:
        lines = [line for line in lines if not line.startswith(DEPEND_ON_TORCH)] + [f"torch=={torch}\n"]
    constraints.write_text("".join(lines))
    if not programs.exists():
        venv.create(folder / "venv", with_pip=True)
        run(*pip, "install", "--upgrade", "pip")
    for wheel in folder.glob("*.whl"):
        wheel.unlink()
    run(*pip, "wheel", "--no-deps", "--wheel-dir", folder, REPOSITORY)
    (wheel,) = folder.glob("*.whl")
    run(*pip, "uninstall", "--yes", "srblocks")
    run(*pip, "install", "-c", constraints, f"{wheel}[dev]")
    return programs


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--torch", metavar="VERSION", help="(default: that of constraints.txt)")
    parser.add_argument(
        "--folder", type=Path, help="keep the environment there for the next run (default: a temporary folder)"
    )
    args, pytest_arguments = parser.parse_known_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        programs = install(folder, args.torch)
        tree = Path(temporary) / "tree"
        tree.mkdir()
        archive = subprocess.run(["git", "archive", "HEAD"], cwd=REPOSITORY, check=True, capture_output=True).stdout
        run("tar", "-x", "-C", tree, input=archive)
        # The tests read sources and documents of the tree, but import the installed packages.
        code = (
            "import srblocks, srblocks_export, torch; print(srblocks.__file__, srblocks.__version__, torch.__version__)"
        )
        run(programs / "python", "-P" if sys.version_info >= (3, 11) else "-I", "-c", code, cwd=tree)
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": ""}
        run(programs / "pytest", "-n", "2", "tests", *pytest_arguments, cwd=tree, env=environment)


if __name__ == "__main__":
    main()
