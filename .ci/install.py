"""Install srblocks in .venv with one extra: ``python .ci/install.py demo`` or ``dev``.

For the demo, torch is the version that the environment variable TORCH names, or the one already installed in .venv.
Otherwise, on a machine without an NVIDIA GPU, it is the newest CPU-only wheel if the package index serves one.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
VENV = REPOSITORY / ".venv"
PYTHON = VENV / ("Scripts" if os.name == "nt" else "bin") / "python"
FLOOR = (2, 7)
"""Oldest supported version of torch."""
DEPENDS_ON_TORCH = ("torch==", "torchvision==")
"""Constraints that are only valid for the default torch."""


def pip(*arguments: str) -> None:
    """Run pip and show what it downloads; exit if it fails."""
    command = [str(PYTHON), "-m", "pip", *arguments]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if line.lstrip().startswith(("Downloading", "Installing collected", "Building")):
                print("   ", line.strip()[:110], flush=True)
    if process.returncode:
        sys.exit(process.returncode)


def capture(*arguments: str) -> str:
    """Return the output of Python in .venv; empty if it fails."""
    command = [str(PYTHON), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def has_nvidia_gpu() -> bool:
    """Whether an NVIDIA driver is installed."""
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia/version").exists()


def cpu_wheel() -> str | None:
    """Return the newest CPU-only version of torch that the package index serves; None if there is none."""
    versions = re.findall(r"[\d.]+\+cpu\b", capture("-m", "pip", "index", "versions", "torch"))
    return next((version for version in versions if tuple(map(int, version.split(".")[:2])) >= FLOOR), None)


def demo_torch() -> str:
    """Choose torch for the demo, and say why."""
    if wanted := os.environ.get("TORCH"):
        print(f"torch {wanted}, as TORCH says")
        return f"torch=={wanted}"
    if installed := capture("-c", "import importlib.metadata as m; print(m.version('torch'))"):
        print(f"torch {installed} is installed already")
        return f"torch=={installed}"
    if has_nvidia_gpu():
        print("torch with CUDA, about 5 GB, as this machine has an NVIDIA GPU")
    elif version := cpu_wheel():
        print(f"torch {version}: CPU-only, as this machine has no NVIDIA GPU")
        return f"torch=={version}"
    elif sys.platform == "linux":
        print("torch with CUDA libraries, about 5 GB, as the package index serves no CPU-only wheel.")
        print("To avoid them, interrupt and set PIP_EXTRA_INDEX_URL to the index of PyTorch's CPU wheels.")
    return f"torch>={'.'.join(map(str, FLOOR))}"


def size_of(folder: Path) -> float:
    """Return the gigabytes that a folder takes."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir()) / 1e9


def main() -> None:
    """Install the extra that the command line names."""
    (extra,) = sys.argv[1:]
    start = time.monotonic()
    if not PYTHON.exists():
        print("Creating .venv", flush=True)
        venv.create(VENV, with_pip=True)
    constraints = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pip("install", "--quiet", "--upgrade", "pip")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "constraints.txt"
        if extra == "demo":
            print("Installing ", end="", flush=True)
            torch = demo_torch()
            constraints = [line for line in constraints if not line.startswith(DEPENDS_ON_TORCH)]
            file.write_text("\n".join(constraints))
            pip("install", "-c", str(file), torch)
        else:
            file.write_text("\n".join(constraints))
        print(f"Installing srblocks[{extra}]", flush=True)
        pip("install", "-c", str(file), "-e", f".[{extra}]")
    (VENV / f"installed-{extra}").touch()
    print(f"Installed {size_of(VENV):.1f} GB in {VENV.name} in {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
