"""The command that measures latency: what it checks, leaves out and writes; how long anything takes is not tested."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

import latency
from harness import engines
from harness import latency as results
from harness.parity import drawn
from srblocks.network import Network
from srblocks_export.config import ExportConfig
from srblocks_export.report import ArtifactReport

TINY = ["--networks", "fsrcnn-x2", "--shapes", "1x12x10", "2x9x16", "--rounds", "1"]
CHEAP = ["--engines", "eager", "channels_last", "TorchScript", "onnxruntime", "OpenVINO"]


@pytest.mark.slow
def test_a_run_writes_table_json_and_chart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {"--json": tmp_path / "new" / "latency.json", "--chart": tmp_path / "latency.png"}
    options = [str(part) for pair in files.items() for part in pair]
    assert latency.main([*TINY, *CHEAP, *options]) == 0
    result = json.loads(files["--json"].read_text())
    results.validated(result)
    found = [case for case in result["cases"] if case["shape"] == [2, 1, 9, 16]]
    labels = [f"{case['backend']} {case['precision']} {case['variant']}" for case in found]
    wanted = [way for way in engines.ways("cpu") if way.engine.name in CHEAP and not way.missing("cpu")]
    assert labels == ["eager fp32 plain", *(f"{way.label} optimized" for way in wanted)]
    assert len(result["cases"]) == 2 * len(labels)
    assert result["missing"] == {
        way.label: way.missing("cpu") for way in engines.ways("cpu") if way.engine.name in CHEAP and way.missing("cpu")
    }
    for case in found:
        assert case["parity_ok"]
        assert (case["parity_relative"] < 1e-4) == (case["precision"] == "fp32")
        assert (case["artifact_bytes"] or 0) > 1000 or case["backend"] in ("eager", "channels_last")
        assert case["percent_of_bound"] > 0
    assert found[0]["ratio_vs_eager"] == 1.0
    out = capsys.readouterr().out
    table = [line for line in out.splitlines() if line.startswith("| ")]
    assert len(table) == 1 + len(result["cases"])
    assert len({line.count("|") for line in table}) == 1
    assert str(tmp_path) not in out
    with Image.open(files["--chart"]) as picture:
        assert picture.format == "PNG"
        assert picture.width > 400
        assert len(picture.convert("RGB").getcolors(2**24) or []) > 50


def test_a_wrong_output_is_said_and_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    sound = engines.ENGINES["channels_last"]
    wrong = engines.Engine("channels_last", lambda subject: lambda: 1.01 * sound.build(subject)(), sound.precisions)
    monkeypatch.setitem(engines.ENGINES, "channels_last", wrong)
    assert latency.main([*TINY[:4], "--rounds", "1", "--engines", "channels_last", "--precisions", "fp32"]) == 1
    out = capsys.readouterr().out
    assert "| WRONG, " in out
    assert "wrong output: fsrcnn x2 optimized in channels_last fp32" in out


def test_an_engine_that_fails_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(subject: engines.Subject) -> engines.Run:
        raise RuntimeError("no kernel\nand more")

    monkeypatch.setitem(engines.ENGINES, "compile", engines.Engine("compile", fail, {"cpu": ("fp32",)}))
    assert latency.main([*TINY[:4], "--rounds", "1", "--engines", "eager", "compile", "--precisions", "fp32"]) == 0
    out = capsys.readouterr().out
    assert "optimized network in compile fp32, RuntimeError: no kernel\n" in out
    assert "| eager fp32 | optimized |" in out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--networks", "edsr-x5"], "unknown network 'edsr-x5'; known are"),
        (["--networks", "nothing"], "unknown network 'nothing'"),
        (["--networks", "fsrcnn-x2", "--shapes", "64x64"], "'64x64' is no shape; give batch x height x width"),
        (["--networks", "fsrcnn-x2", "--shapes", "1x0x64"], "'1x0x64' is no shape"),
        (["--engines", "TensorRT"], "no engine is left"),
        (["--quick", "--shapes", "1x64x64"], "--quick has cases of its own"),
    ],
)
def test_what_cannot_be_measured_is_refused(options: list[str], told: str) -> None:
    with pytest.raises(SystemExit, match=told):
        latency.main(options)


def test_figures_survive_what_fails_after_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = latency.reference_output

    def fail(net: Network, lr: torch.Tensor, device: str, *, tf32: bool) -> torch.Tensor:
        if lr.shape[0] == 2:
            raise torch.OutOfMemoryError("out of memory\nand more")
        return reference(net, lr, device, tf32=tf32)

    monkeypatch.setattr(latency, "reference_output", fail)
    file = tmp_path / "found.json"
    assert latency.main([*TINY, "--engines", "eager", "--precisions", "fp32", "--json", str(file)]) == 0
    assert {tuple(case["shape"]) for case in json.loads(file.read_text())["cases"]} == {(1, 1, 12, 10)}
    assert "left out: fsrcnn x2 on 2x9x16, out of memory\n" in capsys.readouterr().out


def test_no_candidate_without_the_reference(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(subject: engines.Subject) -> engines.Run:
        raise MemoryError("no room")

    monkeypatch.setitem(engines.ENGINES, "eager", engines.Engine("eager", fail, {"cpu": ("fp32",)}))
    with pytest.raises(SystemExit, match="nothing was measured"):
        latency.main([*TINY[:4], "--rounds", "1", "--engines", "channels_last"])
    assert "plain network in eager fp32, MemoryError: no room" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--threads", "--rounds"])
@pytest.mark.parametrize("value", ["0", "-1", "two"])
def test_numbers_are_whole_and_positive(option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        latency.main([option, value])
    assert f"'{value}' is no whole number of 1 or more" in capsys.readouterr().err


def test_an_exported_file_is_the_one_that_the_export_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def export(net: Network, request: ExportConfig) -> list[ArtifactReport]:
        asked.append(request)
        return [ArtifactReport(format=name, path=tmp_path / f"a.{name}") for name in ("onnx", "trt")]

    monkeypatch.setattr(engines, "export_network", export)
    subject = engines.Subject(drawn("fsrcnn_s", 2), torch.rand(1, 1, 8, 8), tmp_path, "fp16", "cuda", tf32=True)
    assert subject.file("trt") == subject.file("trt") == tmp_path / "a.trt"
    (request,) = asked
    assert (request.precision, request.engine.tf32, request.shape) == ("fp16", True, (1, 1, 8, 8))


def test_aotinductor_is_asked_for_the_device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    devices = []

    def export(net: Network, request: ExportConfig) -> list[ArtifactReport]:
        devices.append(request.device)
        return [ArtifactReport(format=request.formats[0], path=tmp_path / "a")]

    monkeypatch.setattr(engines, "export_network", export)
    subject = engines.Subject(drawn("fsrcnn_s", 2), torch.rand(1, 1, 8, 8), tmp_path, device="cuda")
    for fmt in ("aoti", "torchscript"):
        subject.file(fmt)
    assert devices == ["cuda", "cpu"]


@pytest.mark.slow
def test_what_does_not_fit_or_takes_too_long_is_left_out_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--networks", "rcan-x4", "--shapes", "1x3x5", "1x540x960", "--engines", "eager"]
    with pytest.raises(SystemExit, match="nothing was measured"):
        latency.main(options)
    out = capsys.readouterr().out
    assert "left out: rcan x4 on 1x3x5, it takes sides of 4 or more, multiples of 1" in out
    assert "left out: rcan x4 on 1x540x960, a run in fp32 takes more than " in out


def test_on_cuda_time_is_that_of_events_and_transfers_are_apart(
    imitated_cuda: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100 80GB HBM3")
    monkeypatch.setattr(latency.environment, "gpu", lambda: {
        "name": "NVIDIA H100 80GB HBM3", "sm": "9.0", "memory_bytes": 8 * 10**10, "cuda": "13.0", "cudnn": 9,
        "state": {"driver_version": "580.1"},
    })  # fmt: skip
    monkeypatch.setattr(torch, "compile", lambda net, **options: net)
    engines_ = ["channels_last", "compile max-autotune", "CUDA graph"]
    args = latency.parser().parse_args([*TINY[:4], "--device", "cuda", "--rounds", "2", "--engines", *engines_])
    result = latency.run(args)
    assert (result["env"]["sm"], result["env"]["driver"], result["env"]["tf32"]) == ("9.0", "580.1", False)
    assert result["device"]["name"] == "NVIDIA H100 SXM, data sheet"
    assert (result["env"]["cuda"], result["env"]["cudnn"]) == ("13.0", 9)
    labels = [f"{case['backend']} {case['precision']} {case['variant']}" for case in result["cases"]]
    assert labels == [
        "eager fp32 plain",
        "channels_last fp16 plain",
        "compile max-autotune fp16 plain",
        *(f"{name} {precision} optimized" for name in engines_ for precision in ("fp32", "fp16")),
    ]
    for case in result["cases"]:
        assert case["ms"]["median"] == 2.0
        assert case["wall_ms"]["min"] > 0
        assert case["e2e_ms"]["min"] > 0
        assert (case["peak_mem_mb"] or 0) > 0 or case["backend"] == "compile max-autotune"
    out = capsys.readouterr().out
    assert "| end to end ms |" in out
    assert "| fsrcnn x2 | 1x12x10 | channels_last, 2.000 ms | channels_last, 2.000 ms | 1.00 | 2.0 | missed |" in out
