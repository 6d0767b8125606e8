"""Missing optional libraries: errors name the package to install; everything else works."""

import contextlib
import importlib
import io
import json
import pkgutil
import runpy
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
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
"""Modules that cannot be imported without an optional library."""

MAIN = {"export": "srblocks_export.cli", "upscale": "srblocks.inference.cli", "evaluate": "srblocks.evaluate.cli"}


def report_imports(*others: str) -> None:
    """Print the modules that fail to import with their errors, and the exit codes of the commands with --help."""
    package = importlib.import_module("srblocks")
    failed: dict[str, str] = {}
    modules = [each.name for each in pkgutil.walk_packages(package.__path__, "srblocks.", onerror=lambda name: None)]
    own = [name for name in modules if not name.startswith("srblocks.integrations.") and not name.endswith("__main__")]
    for name in (*own, *others):
        try:
            importlib.import_module(name)
        except ImportError as error:
            failed[name] = str(error)
    with contextlib.redirect_stdout(io.StringIO()):
        codes = [importlib.import_module(name).main(["--help"]) for name in MAIN.values()]
    print(json.dumps([failed, codes]))


def run_commands(lines: str) -> None:
    """Run command lines in one process, and print the exit code, output and errors of each."""
    results = []
    for program, *arguments in json.loads(lines):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                if program in MAIN:
                    code = importlib.import_module(MAIN[program]).main(arguments)
                else:
                    sys.argv = [program, *arguments]
                    code = runpy.run_path(program, run_name="__main__") and 0
            except SystemExit as stop:
                code = stop.code
        results.append([code, out.getvalue(), err.getvalue()])
    print(json.dumps(results))


@pytest.mark.parametrize("library", ["all", *[pytest.param(name, marks=pytest.mark.slow) for name in NEEDED_BY]])
def test_only_modules_that_need_a_library_fail_to_import(
    bare_commands: Commands, tally: Counter[str], library: str
) -> None:
    absent = list(NEEDED_BY) if library == "all" else [library]
    expected = {name for each in absent for name in NEEDED_BY[each]}
    integrations = sorted(name for name in expected if ".integrations." in name)
    found = bare_commands.run("call", __file__, "report_imports", *integrations, absent=absent)
    assert (found.code, found.err) == (0, "")
    failed, codes = json.loads(found.out)
    assert codes == [0, 0, 0]
    assert {name for name in failed if not name.startswith("srblocks.inference.images.")} == expected
    assert [message for message in failed.values() if 'pip install "srblocks[' not in message] == []
    for name in integrations:
        assert f"srblocks[{name.rpartition('.')[2]}]" in failed[name]
    tally["libraries removed"] += len(absent)


NO_PILLOW = "reading and writing images requires Pillow; pip install"
NO_SCIPY = "net.mat: .mat files require scipy; pip install"
NO_RUNTIME = "E401 onnx artifacts cannot run here: onnxruntime not installed; pip install"
TRAIN, RAY_UPSCALE = (str(REPOSITORY / "examples" / name) for name in ("train.py", "ray_upscale.py"))
PILLOW_ERRORS = {
    "srblocks-export: E401 --calibrate: " + NO_PILLOW: (
        *("export", "--torchscript", "--precision", "fp16", "--calibrate", "IMAGES", "-o", "OUT"),
    ),
    "srblocks-upscale: " + NO_PILLOW: ("upscale", "IMAGES", "-o", "OUT"),
    "srblocks-evaluate: " + NO_PILLOW: ("evaluate", "--data", "IMAGES", "--scale", "2"),
}
OTHER_ERRORS = {
    'srblocks-export: E401 onnx: onnx, onnxruntime not installed; pip install "srblocks[onnx]"': (
        *("export", "--onnx", "-o", "OUT"),
    ),
    "srblocks-export: E401 torch-trt: ": ("export", "--torch-trt", "-o", "OUT"),
    "srblocks-export: E401 " + NO_SCIPY: ("export", "net.mat", "-o", "OUT"),
    "srblocks-upscale: " + NO_SCIPY: ("upscale", "IMAGES", "-o", "OUT", "--model", "net.mat"),
    "srblocks-upscale: " + NO_RUNTIME: ("upscale", "IMAGES", "-o", "OUT", "--model", "net.onnx"),
    "srblocks-evaluate: " + NO_RUNTIME: ("evaluate", "--data", "IMAGES", "--artifact", "net.onnx"),
    "train.py: No module named 'lightning_fabric'; pip install": (TRAIN, "--help"),
    "ray_upscale.py: No module named 'ray'; pip install": (RAY_UPSCALE, "a", "b"),
}
"""Beginnings of errors -> command lines."""

Run = Callable[..., list[tuple[int, str, str]]]


@pytest.fixture
def run_without(bare_commands: Commands, images: Path, tmp_path: Path) -> Run:
    """Runs command lines in one process without some libraries; returns exit codes, outputs and errors."""
    from scipy.io import savemat

    (tmp_path / "net.onnx").write_bytes(b"not read")
    savemat(tmp_path / "net.mat", {"x": 1})
    names = {"IMAGES": str(images), "OUT": str(tmp_path / "out")}

    def run(absent: Sequence[str], *lines: Sequence[str]) -> list[tuple[int, str, str]]:
        given = json.dumps([[names.get(word, word) for word in line] for line in lines])
        found = bare_commands.run("call", __file__, "run_commands", given, absent=absent, current=str(tmp_path))
        assert (found.code, found.err) == (0, "")
        return json.loads(found.out)

    return run


def check_errors(errors: Iterable[str], results: Iterable[tuple[int, str, str]]) -> None:
    for message, (code, _, err) in zip(errors, results, strict=True):
        assert code == 4, (message, err)
        assert err.startswith(message), message
        assert "pip install " in err, message
        assert "Traceback" not in err, message


def test_errors_name_the_packages_to_install_and_other_formats_are_written(run_without: Run, tmp_path: Path) -> None:
    absent = ["onnx", "onnxruntime", "scipy", "tensorrt", "torch_tensorrt", "lightning_fabric", "ray"]
    formats = ("export", "--onnx", "--torchscript", "--verify", "off", "--json", "-o", "formats")
    environment = ("export", "--check-env", "--json")
    *results, (code, written, _), (_, state, _) = run_without(absent, *OTHER_ERRORS.values(), formats, environment)
    check_errors(OTHER_ERRORS, results)
    assert list(tmp_path.glob("out/*")) == []
    onnx, torchscript = json.loads(written)["artifacts"]
    assert (code, onnx["exit_code"], torchscript["exit_code"]) == (4, 4, 0)
    assert sorted(path.name for path in (tmp_path / "formats").iterdir()) == ["fsrcnn_x2_fp32_dyn.ts", "manifest.json"]
    formats = json.loads(state)["formats"]
    assert [name for name, row in formats.items() if row["remedy"] and "install" not in row["remedy"]] == []
    assert formats["onnx"]["missing"] == "onnx, onnxruntime not installed"


def test_errors_without_pillow_name_the_package_to_install(run_without: Run, tmp_path: Path) -> None:
    check_errors(PILLOW_ERRORS, run_without(["PIL"], *PILLOW_ERRORS.values()))
    assert list(tmp_path.glob("out/*.ts")) == []


@pytest.mark.slow
@pytest.mark.parametrize("library", ["onnx", "onnxscript", "onnxruntime"])
def test_onnx_export_names_each_missing_library(run_without: Run, library: str) -> None:
    (result,) = run_without([library], ("export", "--onnx", "-o", "OUT"))
    check_errors([f"srblocks-export: E401 onnx: {library} not installed; pip install"], [result])
