"""The half-precision benchmark."""

import re
from pathlib import Path

import pytest
import torch

import fp16
from helpers.support import REPOSITORY, trained_alike
from record import Record
from srblocks import create_network, load_pretrained
from srblocks.networks import network_spec

ROWS = Record.read("fp16.json").rows


def only(rows: list[dict], **fields: object) -> dict:
    (found,) = [row for row in rows if fields.items() <= row.items()]
    return found


def test_bundled_weights_match_the_record(data: Path) -> None:
    (row,) = fp16.rows_of(load_pretrained("fsrcnn", scale=2), "FSRCNN (bundled)", "fsrcnn", data, peak=1.0)
    recorded = only(ROWS, network="fsrcnn", scale=2)
    assert {key: row[key] for key in ("title", "module", "value_range", "export")} == {
        key: recorded[key] for key in ("title", "module", "value_range", "export")
    }
    assert row["largest"] == pytest.approx(recorded["largest"], rel=1e-3)
    assert row["largest_of_noise"] == pytest.approx(recorded["largest_of_noise"], rel=1e-3)
    for precision in fp16.HALVES:
        assert row[precision]["psnr_db"] == pytest.approx(recorded[precision]["psnr_db"], abs=0.5)
        assert row[precision]["max_error"] == pytest.approx(recorded[precision]["max_error"], rel=0.5)


def test_random_weights_match_the_record(data: Path) -> None:
    (row,) = fp16.random_rows(network_spec("fsrcnn_s"), data)
    recorded = only(ROWS, network="fsrcnn_s")
    assert row["largest"] == pytest.approx(recorded["largest"], rel=1e-3)
    assert row["fp16"]["psnr_db"] == pytest.approx(recorded["fp16"]["psnr_db"], abs=0.5)


def test_overflow_adds_a_row_with_float32_modules(data: Path) -> None:
    net = trained_alike(create_network("espcn", scale=2))
    with torch.no_grad():
        net.get_parameter("head.0.weight").mul_(1e6)  # before tanh
    overflowing, fixed = fp16.rows_of(net, "ESPCN", "espcn", data)
    assert (overflowing["export"], overflowing["fp32_modules"], overflowing["fp16"]["psnr_db"]) == ("error", (), None)
    assert overflowing["module"] == "head.0"
    assert "infinite values" in fp16.cells(overflowing)
    assert fixed["largest"] < fp16.LIMIT
    assert fixed["fp16"]["psnr_db"] > 40
    assert len(fp16.cells(overflowing)) == len(fp16.cells(fixed))


def test_documented_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs/precision.md").read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(block, "precision.md", "exec"), names)
    assert re.fullmatch(r"[\d.]+ \[\]\n", capsys.readouterr().out)
    with torch.inference_mode():
        assert names["half"](names["images"][0]).isfinite().all()
