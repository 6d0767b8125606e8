"""Every optional library removed, one at a time: what needs it says what to install, and all else works."""

import contextlib
import importlib
import io
import json
import pkgutil
import runpy
import sys
from collections import Counter
from pathlib import Path

import pytest

from helpers.commands import Commands
from helpers.support import REPOSITORY

NEEDED_BY = {
    "onnx": (),
    "onnxscript": (),
    "onnxruntime": (),
    "tensorrt": (),
    "torch_tensorrt": (),
    "openvino": (),
    "PIL": ("srblocks.inference.images", "srblocks.inference.batch"),
    "scipy": (),
    "timm": ("srblocks.integrations.timm",),
    "huggingface_hub": ("srblocks.integrations.hub",),
    "spandrel": ("srblocks.integrations.spandrel",),
    "mmengine": ("srblocks.integrations.mmengine",),
    "ray": (),
    "lightning_fabric": (),
    "click": (),
    "matplotlib": (),
    "jsonschema": (),
    "torchsr": (),
    "skimage": (),
}
"""The modules that cannot be imported without an optional library."""


def look_around(*others: str) -> None:
    """Print which modules do not import, of the library and of those named, and what the commands' --help gives."""
    package = importlib.import_module("srblocks")
    found: dict[str, str] = {}
    modules = [each.name for each in pkgutil.walk_packages(package.__path__, "srblocks.", onerror=lambda name: None)]
    own = [name for name in modules if not name.startswith("srblocks.integrations.") and not name.endswith("__main__")]
    for name in (*own, *others):
        try:
            importlib.import_module(name)
        except ImportError as error:
            found[name] = str(error)
    codes = []
    for name in ("srblocks_export.cli", "srblocks.inference.cli", "srblocks.evaluate.cli"):
        with contextlib.redirect_stdout(io.StringIO()):
            codes.append(importlib.import_module(name).main(["--help"]))
    print(json.dumps([found, codes]))


def run_file(path: str, *arguments: str) -> None:
    """Run a file as Python does."""
    sys.argv = [path, *arguments]
    runpy.run_path(path, run_name="__main__")


@pytest.mark.parametrize("library", ["all", *NEEDED_BY])
def test_without_it_only_what_needs_it_cannot_be_imported(
    bare_commands: Commands, tally: Counter[str], library: str
) -> None:
    absent = list(NEEDED_BY) if library == "all" else [library]
    expected = {name for each in absent for name in NEEDED_BY[each]}
    others = sorted(name for name in expected if ".integrations." in name)
    found = bare_commands.run("call", __file__, "look_around", *others, absent=absent)
    assert (found.code, found.err) == (0, "")
    modules, codes = json.loads(found.out)
    assert codes == [0, 0, 0]
    assert {name for name in modules if not name.startswith("srblocks.inference.images.")} == expected
    assert [message for message in modules.values() if 'pip install "srblocks[' not in message] == []
    tally["libraries removed"] += 1


@pytest.mark.parametrize(
    "library,program,arguments,message",
    [
        ("onnx", "export", ["--onnx"], 'srblocks-export: E401 onnx: onnx not installed; pip install "srblocks[onnx]"'),
        pytest.param(
            "onnxscript",
            "export",
            ["--onnx"],
            "srblocks-export: E401 onnx: onnxscript not installed; pip install",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "onnxruntime",
            "export",
            ["--onnx"],
            "srblocks-export: E401 onnx: onnxruntime not installed; pip install",
            marks=pytest.mark.slow,
        ),
        ("torch_tensorrt", "export", ["--torch-trt"], "srblocks-export: E401 torch-trt: "),
        (
            "PIL",
            "export",
            ["--torchscript", "--precision", "fp16", "--calibrate", "PICTURES"],
            "srblocks-export: E401 --calibrate: reading and writing images requires Pillow; pip install",
        ),
        ("scipy", "export", ["net.mat"], "srblocks-export: E401 net.mat: .mat files require scipy; pip install"),
        ("PIL", "upscale", ["PICTURES"], "srblocks-upscale: reading and writing images requires Pillow; pip install"),
        (
            "onnxruntime",
            "upscale",
            ["PICTURES", "--model", "net.onnx"],
            "srblocks-upscale: E401 onnx artifacts cannot run here: onnxruntime not installed; pip install",
        ),
        (
            "scipy",
            "upscale",
            ["PICTURES", "--model", "net.mat"],
            "srblocks-upscale: net.mat: .mat files require scipy; pip install",
        ),
        (
            "PIL",
            "evaluate",
            ["--data", "PICTURES", "--scale", "2"],
            "srblocks-evaluate: reading and writing images requires Pillow; pip install",
        ),
        (
            "onnxruntime",
            "evaluate",
            ["--data", "PICTURES", "--artifact", "net.onnx"],
            "srblocks-evaluate: E401 onnx artifacts cannot run here: onnxruntime not installed; pip install",
        ),
        ("lightning_fabric", "train.py", ["--help"], "train.py: No module named 'lightning_fabric'; pip install"),
        ("ray", "ray_upscale.py", ["a", "b"], "ray_upscale.py: No module named 'ray'; pip install"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_what_needs_it_says_what_to_install(
    bare_commands: Commands,
    images: Path,
    tmp_path: Path,
    library: str,
    program: str,
    arguments: list[str],
    message: str,
) -> None:
    from scipy.io import savemat

    (tmp_path / "net.onnx").write_bytes(b"not looked into")
    savemat(tmp_path / "net.mat", {"x": 1})
    given = [str(images) if word == "PICTURES" else word for word in arguments]
    if program in ("export", "upscale"):
        given += ["-o", str(tmp_path / "out"), *["--verify", "off"] * (program == "export")]
    if program.endswith(".py"):
        program, given = "call", [__file__, "run_file", str(REPOSITORY / "examples" / program), *given]
    found = bare_commands.run(program, *given, absent=[library], current=str(tmp_path))
    assert found.code == 4, found.err
    assert found.err.startswith(message)
    assert "pip install " in found.err
    assert "Traceback" not in found.err
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").glob("*.ts")) == []


def test_the_other_formats_are_written_and_a_report_says_what_is_missing(
    bare_commands: Commands, tmp_path: Path
) -> None:
    options = ["--onnx", "--torchscript", "--verify", "off", "--json", "-o", tmp_path]
    found = bare_commands.run("export", *options, absent=["onnx"])
    onnx, torchscript = json.loads(found.out)["artifacts"]
    assert (found.code, onnx["exit_code"], torchscript["exit_code"]) == (4, 4, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fsrcnn_x2_fp32_dyn.ts", "manifest.json"]
    found = bare_commands.run("export", "--check-env", "--json", absent=["onnx", "tensorrt"])
    formats = json.loads(found.out)["formats"]
    assert [name for name, state in formats.items() if state["remedy"] and "install" not in state["remedy"]] == []
    assert formats["onnx"]["missing"] == "onnx not installed"
