"""Packages that are incompatible, corrupt or foreign are errors before their code is loaded."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from export.aoti.packages import STEM, read_records, with_metadata, write_records
from srblocks.evaluate.cli import main as evaluate
from srblocks_export.errors import ExportError
from srblocks_export.formats import cxx_compiler
from srblocks_export.formats.aoti import package as aoti_package
from srblocks_export.runtime import load

pytestmark = pytest.mark.skipif(cxx_compiler() is None, reason="needs a C++ compiler")


@pytest.fixture
def no_code_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def loader(*arguments: object) -> None:
        pytest.fail("machine code was loaded")

    monkeypatch.setattr(torch._C._aoti, "AOTIModelPackageLoader", loader)


@pytest.mark.usefixtures("no_code_loaded")
def test_package_for_another_machine(package: Path, tmp_path: Path) -> None:
    rows: tuple[tuple[dict[str, object], str], ...] = (
        ({"AOTI_PLATFORM": "win32"}, r"was built for win32-\w+, this machine has "),
        ({"AOTI_MACHINE": "riscv64"}, r"was built for \w+-riscv64, this machine has "),
        ({"AOTI_CPU_ISA": "AVX512 AVX99"}, r"was built for CPUs with AVX512 AVX99, this machine has no .*avx99"),
        ({"cpu_features": {"quantum": True}}, r"was built for CPUs with .*, this machine has no quantum"),
    )
    for changes, message in rows:
        path = with_metadata(package, tmp_path / "other.aoti.pt2", **changes)
        with pytest.raises(
            ExportError, match=f"E801 .*other.aoti.pt2 {message}.*; export it again here with --aoti"
        ) as caught:
            load(path)
        assert caught.value.exit_code == 8, changes


@pytest.mark.usefixtures("no_code_loaded")
def test_package_for_a_newer_cpu(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "x86_64", "avx2": True, "fma3": True})
    path = with_metadata(package, tmp_path / "a.aoti.pt2", AOTI_CPU_ISA="AVX512 AVX512_VNNI AMX_TILE", cpu_features={})
    with pytest.raises(ExportError, match="this machine has no avx512_f, avx512_vnni, amx_tile; export it again here"):
        load(path)
    path = with_metadata(package, tmp_path / "neon.aoti.pt2", AOTI_CPU_ISA="ASIMD", cpu_features={"sve_max_length": 32})
    with pytest.raises(ExportError, match="this machine has no neon, sve_max_length; export it again here"):
        load(path)
    path = with_metadata(package, tmp_path / "b.aoti.pt2", AOTI_CPU_ISA="INVALID_VEC_ISA", cpu_features={"avx2": True})
    with pytest.raises(pytest.fail.Exception, match="machine code was loaded"):
        load(path)


@pytest.mark.parametrize("granted", [True, False])
def test_amx_tiles_require_permission_of_the_system(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, granted: bool
) -> None:
    requests: list[bool] = []
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_tile": True})
    monkeypatch.setattr(torch.cpu, "_init_amx", lambda: requests.append(granted) or granted)
    path = with_metadata(package, tmp_path / "amx.aoti.pt2", AOTI_CPU_ISA="AMX_TILE", cpu_features={})
    if granted:
        assert load(path)(torch.rand(1, 1, 5, 5)).shape == (1, 1, 10, 10)
    else:
        with pytest.raises(ExportError, match="this machine has no permission to use amx_tile"):
            load(path)
    assert requests == [granted]


@pytest.mark.usefixtures("no_code_loaded")
def test_package_for_another_or_missing_gpu(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = with_metadata(package, tmp_path / "cuda.aoti.pt2", AOTI_DEVICE_KEY="cuda", AOTI_COMPUTE_CAPABILITY="90")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        ExportError, match="E402 .*was built for CUDA, but there is no usable CUDA device; run it"
    ) as caught:
        load(path)
    assert caught.value.exit_code == 4
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(aoti_package, "_compute_capability", lambda: "86")
    with pytest.raises(ExportError, match=r"E801 .*for GPUs of compute capability 9\.0, this machine has 8\.6; export"):
        load(path)


@pytest.mark.usefixtures("no_code_loaded")
def test_corrupt_and_foreign_files(package: Path, tmp_path: Path) -> None:
    data = package.read_bytes()
    content = read_records(package)
    path = tmp_path / "some.aoti.pt2"

    def check_corrupt(reason: str) -> None:
        with pytest.raises(ExportError, match=rf"E901 .* cannot be loaded as aoti \({reason}.*\); export it again"):
            load(path)

    for damaged in (data[: len(data) // 2], data[:-30], b"hello", b""):
        path.write_bytes(damaged)
        check_corrupt("File is not a zip file")
    middle = data.index(b"\x7fELF") + 5000
    path.write_bytes(data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :])
    check_corrupt("Bad CRC-32")
    write_records(path, content | {f"{STEM}.so": b"\x7fELF" + bytes(5000)})
    check_corrupt("the machine code was modified")
    write_records(path, {name: record for name, record in content.items() if not name.endswith(".so")})
    check_corrupt("no machine code in the package")
    write_records(path, {name: record for name, record in content.items() if not name.endswith(".json")})
    check_corrupt("not an AOTInductor package of one network")
    write_records(path, content | {f"{STEM}_metadata.json": b'{"AOTI_DEVICE_KEY": "cpu"}'})
    check_corrupt("not a package of srblocks")
    torch.export.save(torch.export.export(torch.nn.ReLU(), (torch.rand(2),)), path)
    check_corrupt("not an AOTInductor package of one network")


def test_manifest_of_another_schema(package: Path, tmp_path: Path) -> None:
    path = with_metadata(package, tmp_path / "other.aoti.pt2", srblocks='{"schema": "another"}')
    with pytest.raises(ExportError, match="E901 .* has no valid srblocks.export/1 manifest"):
        load(path)


def test_code_of_a_newer_torch_is_not_reported_as_corrupt(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loader(*arguments: object) -> None:
        raise RuntimeError("Error in dlopen: undefined symbol: aoti_torch_new\n#0 a trace")

    monkeypatch.setattr(torch._C._aoti, "AOTIModelPackageLoader", loader)
    message = (
        r"E801 .* was built with torch 3\.0\.0, .* cannot load it: Error in dlopen: undefined symbol: aoti_torch_new;"
    )
    with pytest.raises(ExportError, match=message):
        load(with_metadata(package, tmp_path / "newer.aoti.pt2", torch="3.0.0"))


def test_evaluate_exits_with_8_for_another_machine(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (24, 20)).save(tmp_path / "images" / "a.png")
    path = with_metadata(package, tmp_path / "other.aoti.pt2", AOTI_MACHINE="riscv64")
    assert evaluate(["--artifact", str(path), "--data", str(tmp_path / "images")]) == 8
    out, err = capsys.readouterr()
    assert out == ""
    assert "E801" in err
    assert err.count("\n") == 1
