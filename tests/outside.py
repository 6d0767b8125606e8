"""The suite against the built wheel, outside the repository, with any torch: `make test-wheel TORCH=2.11.0`."""

import argparse
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
FOLLOWS_TORCH = ("torch==", "torchvision==")
"""Constraints that another torch does not meet."""


def run(*command: str | Path, **options) -> None:
    """Run a command, and stop with its exit code if it fails."""
    if code := subprocess.run([str(part) for part in command], check=False, **options).returncode:
        sys.exit(code)


def install(folder: Path, torch: str | None) -> Path:
    """Build the wheel and install it with everything that the tests need; give the folder of the programs."""
    programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    pip = (programs / "python", "-m", "pip", "--quiet")
    constraints = folder / "constraints.txt"
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines(keepends=True)
    if torch:
        lines = [line for line in lines if not line.startswith(FOLLOWS_TORCH)] + [f"torch=={torch}\n"]
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
    parser.add_argument("--torch", metavar="VERSION", help="(default: the one of constraints.txt)")
    parser.add_argument("--folder", type=Path, help="keep everything there, for a quicker repetition (default: none)")
    args, chosen = parser.parse_known_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (args.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        programs = install(folder, args.torch)
        tree = Path(temporary) / "tree"
        tree.mkdir()
        archive = subprocess.run(["git", "archive", "HEAD"], cwd=REPOSITORY, check=True, capture_output=True).stdout
        run("tar", "-x", "-C", tree, input=archive)
        # Tests read sources and documents, but import what is installed.
        code = (
            "import srblocks, srblocks_export, torch; print(srblocks.__file__, srblocks.__version__, torch.__version__)"
        )
        run(programs / "python", "-P" if sys.version_info >= (3, 11) else "-I", "-c", code, cwd=tree)
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        run(programs / "pytest", "-n", "2", "tests", *chosen, cwd=tree, env=environment)


if __name__ == "__main__":
    main()
