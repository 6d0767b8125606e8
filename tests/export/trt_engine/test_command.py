"""The builder's command, which needs no torch and runs from a copy of its folder."""

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers.support import REPOSITORY
from helpers.tensorrt_standin import Standin
from srblocks import load_pretrained
from srblocks_export.config import ExportConfig
from srblocks_export.export import export_network
from srblocks_export.formats.tensorrt import trt_engine
from srblocks_export.formats.tensorrt.trt_engine.__main__ import main

FOLDER = Path(trt_engine.__file__).parent


def test_a_lower_max_lowers_the_size_to_be_quickest_at(standin: Standin, tmp_path: Path) -> None:
    model = exported(tmp_path, minimum=(1, 1, 8, 8), maximum=(1, 1, 24, 32))
    assert main([str(model), "--max", "1x1x16x32"]) == 0
    assert entry_of(model.with_suffix(".engine"))["io"]["input"]["opt"] == [1, 1, 16, 32]


def test_a_model_that_is_not_its_manifests_is_refused(
    standin: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = exported(tmp_path, shape=(1, 1, 8, 8))
    model.write_bytes(model.read_bytes() + b"\0")
    assert main([str(model)]) == 9
    assert "does not match its manifest entry" in capsys.readouterr().err
    assert standin.made == []


def exported(folder: Path, **options: Any) -> Path:
    request = ExportConfig(formats=("onnx",), out=folder, verify="off", **options)
    (report,) = export_network(load_pretrained("fsrcnn", scale=2), request)
    assert report.path is not None
    return report.path


def entry_of(path: Path) -> dict[str, Any]:
    entries = json.loads((path.parent / "manifest.json").read_text())["artifacts"]
    return next(item for item in entries if item["artifact"]["file"] == path.name)


def test_the_command_builds_for_the_sizes_that_the_manifest_says(
    standin: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = exported(tmp_path, minimum=(1, 1, 8, 8), maximum=(1, 1, 24, 32))
    engine = model.with_suffix(".engine")
    assert main([str(model), "--hardware-compat", "ampere+", "--workspace", "512MiB"]) == 0
    assert "not verified" in capsys.readouterr().out
    assert json.loads(engine.read_bytes().partition(b"\n")[0])["profile"] == [
        "lr", [1, 1, 8, 8], [1, 1, 24, 32], [1, 1, 24, 32],
    ]  # fmt: skip
    entry = entry_of(engine)
    assert entry["artifact"]["portability"]["hardware"] == "ampere+"
    assert entry["io"]["input"]["opt"] == [1, 1, 24, 32]
    assert entry["model"] == entry_of(model)["model"]
    assert standin.arguments("set_memory_pool_limit") == [("WORKSPACE", 512 * 2**20)]
    assert main([str(model)]) == 3
    assert main([str(model), "--force", "--opt", "1x1x16x16"]) == 0
    assert entry_of(engine)["io"]["input"]["opt"] == [1, 1, 16, 16]
    assert len(json.loads((tmp_path / "manifest.json").read_text())["artifacts"]) == 2


def test_the_command_refuses_sizes_that_the_network_does_not_take(
    standin: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = exported(tmp_path, minimum=(1, 1, 8, 8), maximum=(1, 1, 24, 32))
    assert main([str(model), "--max", "1x1x64x32"]) == 2
    assert "E202 --max: size 64 of axis 2 is out of range; use 8..24" in capsys.readouterr().err
    assert not model.with_suffix(".engine").exists()
    assert standin.made == []


def test_the_command_says_whether_an_engine_fits(
    standin: Standin, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = exported(tmp_path, shape=(1, 1, 8, 8))
    engine = model.with_suffix(".engine")
    assert main([str(model)]) == 0
    assert main([str(model), str(engine), "--check"]) == 0
    monkeypatch.setattr("srblocks_export.formats.tensorrt.trt_engine.host.compute_capability", lambda number=0: "7.5")
    assert main([str(model), str(engine), "--check"]) == 8
    assert "E801 fsrcnn_x2_fp32_1x1x8x8.engine: built for a GPU of compute" in capsys.readouterr().err
    assert main([str(model), str(tmp_path / "other.engine"), "--check"]) == 9


def test_a_model_without_a_manifest_is_built_as_told(
    standin: Standin, models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = tmp_path / "x.engine"
    assert main([str(models["fp32"]), str(engine)]) == 2
    arguments = ["--min", "1x1x4x4", "--opt", "1x1x8x8", "--max", "1x1x8x8"]
    assert main([str(models["fp32"]), str(engine), *arguments]) == 0
    assert "has no manifest.json" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["x.engine"]


@pytest.mark.parametrize(
    ("fault", "said", "code"), [("no_engine", "out of memory", 7), ("refuses", "Col2Im", 5), ("no_cuda", "", 4)]
)
def test_a_failed_build_leaves_nothing(fault: str, said: str, code: int, standin: Standin, tmp_path: Path) -> None:
    model = exported(tmp_path, shape=(1, 1, 8, 8))
    before = (tmp_path / "manifest.json").read_bytes()
    standin.faults[fault] = said
    assert main([str(model)]) == code
    assert sorted(path.name for path in tmp_path.iterdir()) == [model.name, "manifest.json"]
    assert (tmp_path / "manifest.json").read_bytes() == before


def test_a_foreign_manifest_is_noticed_before_the_build(standin: Standin, tmp_path: Path) -> None:
    model = exported(tmp_path, shape=(1, 1, 8, 8))
    (tmp_path / "manifest.json").write_text("{}")
    assert main([str(model)]) == 9
    assert standin.made == []


def test_without_tensorrt_the_command_ends_with_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    assert main([str(exported(tmp_path, shape=(1, 1, 8, 8)))]) == 4


@pytest.mark.parametrize("text", ["", "-1", "1.5GiB", "GiB"])
def test_a_size_of_memory_is_whole(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["x.onnx", f"--workspace={text}"])
    assert "invalid size" in capsys.readouterr().err


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.py")), ids=lambda file: file.name)
def test_the_builder_is_python_3_9_and_imports_nothing_that_machines_lack(file: Path) -> None:
    tree = ast.parse(file.read_text(), feature_version=(3, 9))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {name.name for name in node.names} <= set(sys.stdlib_module_names)
        if isinstance(node, ast.ImportFrom):
            siblings = node.level == 1 and (FOLDER / f"{node.module}.py").is_file()
            assert siblings or (node.module or "").partition(".")[0] in sys.stdlib_module_names


@pytest.mark.parametrize("file", [FOLDER.parent / "__init__.py", FOLDER.parent.parent / "__init__.py"], ids=str)
def test_what_is_imported_on_the_way_is_python_3_9(file: Path) -> None:
    ast.parse(file.read_text(), feature_version=(3, 9))


def test_the_folder_alone_is_enough(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "trt_engine", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "trt_engine", "absent.onnx"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 9
    assert done.stderr == "trt_engine: E901 no such file: absent.onnx; pass the path of an ONNX file\n"


def test_the_command_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules.update(torch=None, numpy=None, srblocks=None)\n"
        "from srblocks_export.formats.tensorrt.trt_engine.__main__ import main\n"
        "sys.exit(main(['absent.onnx']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY / "export", capture_output=True, text=True, check=False
    )
    assert done.returncode == 9
    assert "E901 no such file: absent.onnx" in done.stderr
