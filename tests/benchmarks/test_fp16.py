"""The half-precision benchmark: committed values are reproduced and overflows are reported."""

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


def only(rows: list[dict], **wanted: object) -> dict:
    (found,) = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    return found


def test_the_values_of_bundled_weights_are_reproduced(data: Path) -> None:
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


def test_the_values_of_random_weights_are_reproduced(data: Path) -> None:
    (row,) = fp16.random_rows(network_spec("srcnn_915"), data)
    recorded = only(ROWS, network="srcnn_915")
    assert row["largest"] == pytest.approx(recorded["largest"], rel=1e-3)
    assert row["fp16"]["psnr_db"] == pytest.approx(recorded["fp16"]["psnr_db"], abs=0.5)


def test_an_overflow_results_in_two_rows(data: Path) -> None:
    net = trained_alike(create_network("espcn", scale=2))
    with torch.no_grad():
        net.get_parameter("head.0.weight").mul_(1e6)  # tanh follows
    plain, cured = fp16.rows_of(net, "ESPCN", "espcn", data)
    assert (plain["export"], plain["fp32_modules"], plain["fp16"]["psnr_db"]) == ("refuses", (), None)
    assert plain["module"] == "head.0"
    assert "infinite values" in fp16.cells(plain)
    assert cured["largest"] < fp16.LIMIT
    assert cured["fp16"]["psnr_db"] > 40
    assert len(fp16.cells(plain)) == len(fp16.cells(cured))


def test_the_example_of_the_document_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs/precision.md").read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(block, "precision.md", "exec"), names)
    assert re.fullmatch(r"[\d.]+ \[\]\n", capsys.readouterr().out)
    with torch.inference_mode():
        assert names["half"](names["images"][0]).isfinite().all()
