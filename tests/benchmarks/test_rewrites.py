"""What the measurement of the rewrites computes and says; how long anything takes is not tested."""

import json
from pathlib import Path

import pytest
import torch

import rewrites
from harness import cases, comparison, engines, timing


@pytest.mark.parametrize("case", [case for case in cases.MEMORY if case.goal], ids=lambda case: case.name)
def test_memory_goals(case: cases.MemoryCase) -> None:
    row = rewrites.memory_row(case)
    assert row.ratio >= case.goal, f"{row.plain / 2**20:.1f} MiB to {row.optimized / 2**20:.1f} MiB"


def measured(*milliseconds: float, error: float = 0.0) -> comparison.Measured:
    return comparison.Measured(timing.Timing(milliseconds), error, 60.0)


def row(plain: tuple[float, ...], optimized: tuple[float, ...], **kwargs) -> comparison.Row:
    return comparison.Row("edsr", 4, "64x64", "eager", measured(*plain), measured(*optimized), **kwargs)


def test_ratios_are_taken_round_by_round() -> None:
    ratio = row((10, 20, 30), (5, 20, 10)).ratio
    assert (ratio.paired, ratio.medians, ratio.minima) == (2, 2, 2)
    ratio = row((10, 40, 12), (5, 10, 8)).ratio
    assert (ratio.paired, ratio.medians, ratio.minima) == (2, 1.5, 2)
    with pytest.raises(ValueError, match="shorter"):
        timing.Ratio.of(timing.Timing((1, 2)), timing.Timing((1,)))


@pytest.mark.parametrize(
    ("plain", "optimized", "kwargs", "verdict"),
    [
        ((20, 20, 20), (10, 10, 10), {}, ""),
        ((20, 20, 20), (10, 10, 10), {"goal": 2.0}, "met"),
        ((20, 20, 20), (10, 10, 10), {"goal": 2.1}, "missed"),
        ((20, 23, 23), (10, 10, 10), {"goal": 2.0}, "met"),
        ((20, 24, 24), (10, 10, 10), {"goal": 2.0}, "met, noisy (uneven)"),
        ((20, 20, 20), (10, 12, 12), {}, "noisy (uneven)"),
        ((20, 20, 20), (10, 10, 10), {"load": 2.0, "cores": 2}, ""),
        ((20, 20, 20), (10, 10, 10), {"load": 2.1, "cores": 2, "goal": 3.0}, "missed, noisy (load 2.1)"),
    ],
)
def test_verdicts(plain, optimized, kwargs, verdict: str) -> None:
    assert row(plain, optimized, **kwargs).verdict == verdict


def test_a_wrong_output_stops_the_run() -> None:
    reference = torch.randn(1, 3, 8, 8)
    wrong = {("eager fp32", "optimized"): reference + 1e-2}
    comparison.check({("eager fp16", "optimized"): reference + 1e-2}, reference)
    comparison.check(wrong, reference, tf32=True)
    with pytest.raises(SystemExit, match="optimized network in eager fp32: WRONG, 1e-02"):
        comparison.check(wrong, reference)
    with pytest.raises(SystemExit, match="plain network in eager fp32: WRONG, not finite"):
        comparison.check({("eager fp32", "plain"): reference * torch.nan}, reference)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> cases.Case:
    """One case of one small network, and nothing else to measure."""
    every = (*cases.EVERY, cases.LAYOUT)
    case = cases.Case("fsrcnn", 2, 12, 10, {"eager fp32": 0.0, cases.LAYOUT: 1e9}, every, {"depth": 1}, quick=True)
    monkeypatch.setattr(rewrites, "CASES", (case,))
    monkeypatch.setattr(rewrites, "MEMORY", (cases.MemoryCase("fsrcnn", 2),))
    monkeypatch.setattr("harness.cpu.SECONDS", 0.0)
    return case


@pytest.mark.slow
def test_the_result_of_a_run(tiny: cases.Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = rewrites.main(["--rounds", "1", "--goals", "--json", str(tmp_path / "new" / "result.json")])
    assert code == 1  # nothing is 1e9 times as quick
    result = json.loads((tmp_path / "new" / "result.json").read_text())
    assert list(result) == ["schema", "environment", "load", "missing_engines", "rows", "memory"]
    assert result["schema"] == "srblocks.rewrites/1"
    assert set(result["load"]) == {"before", "after"}
    assert {"cpu", "threads", "versions"} <= set(result["environment"])
    assert [row["engine"] for row in result["rows"]] == [
        name for name in tiny.engines if name not in result["missing_engines"]
    ]
    for found in result["rows"]:
        assert (found["network"], found["scale"], found["size"]) == ("fsrcnn (depth=1)", 2, "12x10")
        assert set(found["ratio"]) == {"median", "of_medians", "of_minima"}
        for variant in ("plain", "optimized"):
            assert set(found[variant]) == {"ms", "relative_error", "psnr_db", "build_seconds", "memory_bytes"}
            assert set(found[variant]["ms"]) == {"min", "median", "p10", "p90", "rounds"}
            assert len(found[variant]["ms"]["rounds"]) == 1
    verdicts = {row["engine"]: row["met"] for row in result["rows"]}
    assert (verdicts["eager fp32"], verdicts[cases.LAYOUT], verdicts["onnxruntime fp32"]) == (True, False, None)
    out = capsys.readouterr().out
    assert "| fsrcnn (depth=1) | x2 | 12x10 | onnxruntime fp32 |" in out
    assert "missed: fsrcnn (depth=1) x2 12x10 eager, then channels_last fp32" in out
    assert str(tmp_path) not in out


def test_each_rewrite_by_itself(tiny: cases.Case, capsys: pytest.CaptureFixture[str]) -> None:
    assert rewrites.main(["--rounds", "1", "--each", "--engines", "eager fp32"]) == 0
    applied = {decision.rewrite for decision in rewrites.optimize(tiny.build()).rewrites.applied}
    out = capsys.readouterr().out
    assert all(f"| {name} | eager fp32 |" in out for name in applied)


def test_a_missing_engine_is_left_out_and_said(
    tiny: cases.Case, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = engines.importlib.util.find_spec
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda name: None if name == "openvino" else find(name))
    assert rewrites.main(["--rounds", "1", "--quick"]) == 0
    out = capsys.readouterr().out
    assert "left out: OpenVINO fp32, openvino is not installed" in out
    assert "left out: OpenVINO bf16, openvino is not installed" in out
    assert "| onnxruntime fp32 |" in out
    assert "| OpenVINO" not in out


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_is_asked_for_where_there_is_none() -> None:
    with pytest.raises(SystemExit, match="no CUDA device"):
        rewrites.main(["--device", "cuda"])


def test_cuda_candidates_without_the_device(
    imitated_cuda: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch, "compile", lambda net, **options: None)
    net = cases.Case("fsrcnn", 2, 8, 8).build()
    nets = {"plain": net, "optimized": rewrites.optimize(net)}
    labels = ["channels_last fp32", "CUDA graph fp16", "compile fp16"]
    found = comparison.compare(nets, torch.rand(1, 1, 8, 8), labels, device="cuda", rounds=3)
    assert set(found) == {(label, variant) for label in labels[:2] for variant in nets}
    for (label, _), one in found.items():
        assert one.timing.milliseconds == (2.0,) * 3
        assert [len(one.more[name]["rounds"]) for name in ("wall_ms", "end_to_end_ms")] == [3, 3]
        assert one.more["memory_bytes"] == 2 * 10**5
        assert (one.decibels > 40) and (one.error < 1e-4 or label == "CUDA graph fp16")
    assert "left out: plain network in compile fp16, TypeError" in capsys.readouterr().out
    pair = (found["CUDA graph fp16", variant] for variant in nets)
    lines = comparison.details([comparison.Row("fsrcnn", 2, "8x8", "CUDA graph fp16", *pair)]).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| fsrcnn | x2 | 8x8 | CUDA graph fp16 | plain | 2.000 | 2.000 | 2.000 | 2.000 |")


def test_goals_name_engines_that_run() -> None:
    names = [case.name for case in cases.CASES]
    assert len(set(names)) == len(names)
    for case in (*cases.CASES, *cases.CUDA_CASES):
        assert set(case.goals) <= set(case.engines)
        device = "cuda" if case in cases.CUDA_CASES else "cpu"
        assert set(case.engines) <= {*(way.label for way in engines.ways(device)), cases.LAYOUT}
