"""The table of half precision: its figures are reproduced, every network has a row, and what it says of each is so."""

import re
from pathlib import Path

import pytest
import torch

import fp16
from harness import files
from helpers.support import REPOSITORY, trained_alike
from srblocks import create_network, list_networks, load_pretrained
from srblocks.networks import network_spec
from srblocks.precision.module_paths import parent_paths

RESULT = files.read("fp16.json")
ROWS = [*RESULT["weights"], *RESULT["drawn"]]


def only(rows: list[dict], **wanted: object) -> dict:
    (found,) = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    return found


def test_the_figures_of_bundled_weights_are_reproduced(data: Path) -> None:
    (row,) = fp16.rows_of(load_pretrained("fsrcnn", scale=2), "FSRCNN (bundled)", "fsrcnn", data, peak=1.0)
    recorded = only(RESULT["weights"], network="fsrcnn", scale=2)
    assert {key: row[key] for key in ("title", "module", "value_range", "export")} == {
        key: recorded[key] for key in ("title", "module", "value_range", "export")
    }
    assert row["largest"] == pytest.approx(recorded["largest"], rel=1e-3)
    assert row["largest_of_noise"] == pytest.approx(recorded["largest_of_noise"], rel=1e-3)
    for precision in fp16.HALVES:
        assert row[precision]["psnr_db"] == pytest.approx(recorded[precision]["psnr_db"], abs=0.5)
        assert row[precision]["max_error"] == pytest.approx(recorded[precision]["max_error"], rel=0.5)


def test_the_figures_of_drawn_weights_are_reproduced(data: Path) -> None:
    (row,) = fp16.with_drawn_weights(network_spec("srcnn_915"), data)
    recorded = only(RESULT["drawn"], network="srcnn_915")
    assert row["largest"] == pytest.approx(recorded["largest"], rel=1e-3)
    assert row["fp16"]["psnr_db"] == pytest.approx(recorded["fp16"]["psnr_db"], abs=0.5)


def test_every_network_has_a_row_of_trained_or_of_drawn_weights() -> None:
    trained, drawn = ({row["network"] for row in RESULT[name]} for name in ("weights", "drawn"))
    assert trained | drawn <= set(list_networks())
    assert not trained & drawn
    assert len(trained | drawn) >= 41  # a network of your own may come without


def test_what_overflows_has_a_row_with_the_modules_that_cure_it() -> None:
    assert any(row["largest"] > fp16.LIMIT for row in ROWS)  # SAN's covariances
    for row in ROWS:
        refused = row["largest"] > fp16.LIMIT
        assert (row["export"] == "refuses") == refused
        assert (row["export"] == "warns") == (fp16.LIMIT / 2 < row["largest"] <= fp16.LIMIT)
        assert (row["fp16"]["psnr_db"] is None) <= refused
        if refused:
            key = {name: row[name] for name in ("title", "scale", "value_range")}
            (cure,) = [each for each in ROWS if each["fp32_modules"] and key.items() <= each.items()]
            assert cure["fp16"]["psnr_db"] > 0
            assert any(re.fullmatch(place, at) for place in cure["fp32_modules"] for at in parent_paths(row["module"]))


def test_trained_weights_of_the_table_are_safe_in_fp16() -> None:
    assert all(row["fp16"]["psnr_db"] > 55 and not row["export"] for row in RESULT["weights"])


def test_an_overflow_gives_two_rows(data: Path) -> None:
    net = trained_alike(create_network("espcn", scale=2))
    with torch.no_grad():
        net.get_parameter("head.0.weight").mul_(1e6)  # tanh follows
    plain, cured = fp16.rows_of(net, "ESPCN", "espcn", data)
    assert (plain["export"], plain["fp32_modules"], plain["fp16"]["psnr_db"]) == ("refuses", (), None)
    assert plain["module"] == "head.0"
    assert "infinite values" in fp16.line(plain)
    assert cured["largest"] < fp16.LIMIT
    assert cured["fp16"]["psnr_db"] > 40
    assert len({line.count("|") for line in fp16.markdown([plain, cured]).splitlines()}) == 1


def test_the_example_of_the_document_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "srblocks/precision/README.md").read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(block, "README.md", "exec"), names)
    assert re.fullmatch(r"[\d.]+ \[\]\n", capsys.readouterr().out)
    with torch.inference_mode():
        assert names["half"](names["images"][0]).isfinite().all()
