"""Benchmark records and the tables generated from them."""

import re
from pathlib import Path

import pytest

import fp16
import latency
import peers
import rewrites
import tables
from record import RESULTS, Record, measured_on

ABOUT = {
    "cpu": {"name": "Some CPU", "cores": 2, "flags": ["avx2"]},
    "threads": 1,
    "load": 0.5,
    "versions": {"torch": "2"},
}


def row(implementation: str, label: str, *rounds: float, noisy: bool = False, shape: tuple = (1, 3, 64, 64)) -> dict:
    backend, _, precision = label.rpartition(" ")
    ms = {"median": sorted(rounds)[len(rounds) // 2], "min": min(rounds)}
    values = {"network": "edsr", "scale": 4, "shape": list(shape), "implementation": implementation, "backend": backend}
    return values | {"precision": precision, "ms": ms, "rounds": list(rounds), "noisy": noisy}


def is_table(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return len(lines) > 2 and len({line.replace("\\|", "").count("|") for line in lines}) == 1


def test_record_round_trip(tmp_path: Path) -> None:
    record = Record("latency", dict(ABOUT), parameters={"size": 3}, skipped={"TensorRT": "no GPU"}, notes=["a note"])
    record.rows = [row("optimized", "eager fp32", 1.5, 2.5), row("original", "eager fp32", 3.0, 4.0)]
    path = record.write(tmp_path / "new" / "record.json")
    assert Record.read(path) == record
    assert record.environment["load_after"] >= 0
    assert sum(line.startswith('    {"network"') for line in path.read_text().splitlines()) == 2
    assert measured_on(record.environment).startswith(
        "Measured on Some CPU with avx2, 1 thread, torch 2, load average "
    )


def test_committed_records_are_readable() -> None:
    for path in RESULTS.glob("*.json"):
        record = Record.read(path)
        assert record.rows
        assert record.benchmark == path.stem.removesuffix("-cpu").removesuffix("-modern")


def test_tables_of_committed_records() -> None:
    for name, render in tables.TABLES.items():
        if name not in ("networks", "layouts", "applied", "latency-gpu"):  # covered by test_documents.py
            assert is_table(render()), name


def test_speed_table_separates_rewrites_and_backends() -> None:
    (line,) = [line for line in tables.speed().splitlines() if line.startswith("| edsr_baseline x4")]
    assert re.fullmatch(
        r"\| edsr_baseline x4 \| 1x64x64 \| \d+\.?\d* ms \| 1\.\d+x \| 2\.2x, OpenVINO \| 4\.2x, OpenVINO \|", line
    )


def test_rewrite_speedups_by_backend_and_memory_format() -> None:
    rows = [row("original", "eager fp32", 20, 20), row("optimized", "eager fp32", 10, 10)]
    rows += [row("optimized", "channels_last fp32", 5, 5, noisy=True), row("original", "OpenVINO fp32", 9, 9)]
    assert list(rewrites.speedups(rows)) == [
        ("edsr x4, 1x64x64", "original", "eager fp32", 2.0, False),
        ("edsr x4, 1x64x64", "original", rewrites.LAYOUT, 4.0, True),
    ]


def test_peer_comparisons_use_the_fastest_rows() -> None:
    rows = [
        row("torchsr", "eager fp32", 40, 41, 42),
        row("spandrel", "eager fp32", 30, 44, 45),
        row("torchsr", "OpenVINO fp32", 30, 30, 30),
        row("spandrel", "onnxruntime fp32", 28, 28, 28),
        row("torchsr", "channels_last bf16", 9, 9, 9),
        row(peers.OURS_ORIGINAL, "eager fp32", 1, 1, 1),
        row("srblocks", "eager fp32", 25, 25, 25),
        row("srblocks", "compile fp32", 20, 20, 21),
        row("srblocks", "onnxruntime fp32", 14, 14, 14),
    ]
    found = {one.comparison: one for one in peers.compare(rows)}
    sides = {
        name: (one.peer["implementation"], one.peer["backend"], one.ours["backend"]) for name, one in found.items()
    }
    assert sides == {
        "fp32": ("spandrel", "onnxruntime", "onnxruntime"),
        "fp32 against eager": ("torchsr", "eager", "onnxruntime"),
        "fp32 against eager, in PyTorch": ("torchsr", "eager", "compile"),
    }
    assert [round(one.ratio, 3) for one in found.values()] == [2.0, 2.929, 2.0]
    assert found["fp32"].meets(2.0)
    assert not found["fp32"].meets(2.01)
    alone = [row(peers.OURS_ORIGINAL, "eager fp32", 4, 4), row("srblocks", "eager fp32", 2, 2)]
    assert next(peers.compare(alone)).peer["implementation"] == peers.OURS_ORIGINAL


def test_even_goal_is_met_within_the_confidence_interval() -> None:
    for ours, met in (((20, 20, 20), True), ((21, 21, 20), True), ((21, 21, 21), False)):
        rows = [row("torchsr", "eager fp32", 20, 20, 20), row("srblocks", "eager fp32", *ours)]
        assert next(peers.compare(rows)).meets(peers.EVEN) is met, ours


def test_gpu_speedups_compare_the_best_fp16_rows() -> None:
    rows = [row("original", "channels_last fp16", 4, 4), row("optimized", "CUDA graph fp16", 2, 2)]
    rows += [row("optimized", "TensorRT fp16", 1, 1)]
    assert list(latency.gpu_speedups(rows)) == [("edsr x4, 1x64x64", 4.0, None)]


def test_markers_are_filled_and_must_name_a_table() -> None:
    text = "a\n<!-- memory: written by `x` -->\nold\n<!-- end -->\nb\n"
    assert tables.updated(text, {"memory": "new"}) == text.replace("old", "new")
    with pytest.raises(SystemExit, match="unknown table 'nothing'; available: networks"):
        tables.updated(text.replace("memory", "nothing"), {})


def test_half_precision_record_covers_every_network() -> None:
    rows = Record.read("fp16.json").rows
    trained, random = ({row["network"] for row in rows if row["weights"] == kind} for kind in ("trained", "random"))
    assert not trained & random
    assert len(trained | random) >= 41
    for one in rows:
        overflows = one["largest"] > fp16.LIMIT
        assert (one["export"] == "error") == overflows
        assert (one["export"] == "warning") == (fp16.LIMIT / 2 < one["largest"] <= fp16.LIMIT)
        if overflows:
            key = {name: one[name] for name in ("title", "scale", "value_range")}
            (fixed,) = [each for each in rows if each["fp32_modules"] and key.items() <= each.items()]
            assert fixed["fp16"]["psnr_db"] > 0
        if one["weights"] == "trained":
            assert one["fp16"]["psnr_db"] > 55
            assert not one["export"]
