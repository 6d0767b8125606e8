"""What follows from measured times: rows, verdicts, tables, charts and the schema of the file."""

import copy
import dataclasses
import json
from pathlib import Path

import jsonschema
import pytest
from matplotlib.figure import Figure

import latency
from harness import candidates, chart
from harness import latency as results
from harness.parity import Parity
from harness.timing import Timing


def measurement(*milliseconds: float, **kwargs: object) -> results.Measurement:
    given = {
        "network": "edsr_baseline",
        "scale": 4,
        "shape": (2, 3, 100, 125),
        "engine": "eager",
        "precision": "fp32",
        "device": "cpu",
        "variant": "optimised",
        "warm_up": 1,
        "time": candidates.Timed(Timing(milliseconds)),
        "reference": Timing(tuple(3 * value for value in milliseconds)),
        "costs": candidates.Costs(1.25, None, 3_000_000),
        "parity": Parity(1e-6, 2e-6, 120.0, ok=True),
        "bound_ms": 5.0,
        "load": 0.5,
        "cores": 2,
    }
    return results.Measurement(**given | kwargs)


def test_a_row_says_what_follows_from_its_rounds() -> None:
    found = measurement(20.0, 10.0, 12.0, 10.0, 10.0).to_json()
    assert found["ms"]["min"] == found["ms"]["median"] == 10.0
    assert (found["ms"]["p90"], found["ms"]["mean"], found["ms"]["iqr"], found["n"]) == (20.0, 12.4, 2.0, 5)
    assert found["cov"] == pytest.approx(3.878 / 12.4, abs=1e-3)
    assert found["ms_per_mpix"] == 25.0  # 2 x 400 x 500 pixels of output
    assert found["throughput_mpix_s"] == 40.0
    assert (found["ratio_vs_eager"], found["percent_of_bound"]) == (3.0, 50.0)
    assert (found["peak_mem_mb"], found["build_s"], found["artifact_bytes"]) == (3.0, 1.25, None)


@pytest.mark.parametrize(
    ("milliseconds", "kwargs", "stable"),
    [
        ((10.0, 10.0, 11.0), {}, True),
        ((10.0, 12.0, 12.0), {}, False),
        ((10.0, 10.0, 10.0), {"load": 2.1}, False),
        ((10.0, 10.0, 10.0), {"load": 2.1, "device": "cuda"}, True),
    ],
)
def test_noise(milliseconds: tuple[float, ...], kwargs: dict, stable: bool) -> None:
    found = measurement(*milliseconds, **kwargs)
    assert found.stable == stable
    assert ("noisy" in results.markdown([found.to_json()])) == (not stable)


def half(engine: str, variant: str, milliseconds: float, network: str = "rcan") -> results.Measurement:
    time = candidates.Timed(Timing((milliseconds,) * 3))
    return measurement(1.0, time=time, engine=engine, variant=variant, network=network, precision="fp16")


def test_goals_on_a_gpu_compare_the_best_with_the_best() -> None:
    rows = [half("channels_last", "plain", 9.0), half("compile max-autotune", "plain", 8.0)]
    rows += [half("CUDA graph", "optimised", 4.1), half("TensorRT", "optimised", 5.0), measurement(0.1)]
    (line,) = results.verdicts(rows).splitlines()[2:]
    assert line.startswith("| rcan x4 | 2x100x125 | compile max-autotune, 8.000 ms | CUDA graph, 4.100 ms | 1.95 |")
    assert line.endswith("| 2.0 | missed |")
    rows.append(half("AOTInductor", "optimised", 4.0))
    assert "AOTInductor, 4.000 ms | 2.00 | 2.0 | met |" in results.verdicts(rows)
    wrong = half("OpenVINO", "optimised", 0.1)
    beside = [dataclasses.replace(wrong, parity=Parity(1.0, 1.0, 3.0, ok=False)), half("TensorRT", "plain", 0.1)]
    assert results.verdicts([*rows, *beside]) == results.verdicts(rows)
    assert results.verdicts([half("TensorRT", "optimised", 1.0)]).count("\n") == 1


def test_the_chart_shows_the_largest_input_quickest_first() -> None:
    rows = [
        measurement(value, shape=shape, engine=engine).to_json()
        for engine, value in (("slow", 9.0), ("quick", 3.0))
        for shape in ((4, 3, 64, 64), (1, 3, 270, 480))
    ]
    panels = chart.largest([*rows, measurement(5.0, network="rdn").to_json()])
    assert list(panels) == ["edsr_baseline x4, input 1x270x480", "rdn x4, input 2x100x125"]
    assert [row["backend"] for row in panels["edsr_baseline x4, input 1x270x480"]] == ["quick", "slow"]
    wrong = measurement(1.0, shape=(1, 3, 270, 480), engine="wrong", parity=Parity(1.0, 1.0, 3.0, ok=False))
    assert chart.largest([*rows, wrong.to_json()]).keys() < panels.keys()
    assert "wrong" not in json.dumps(chart.largest([*rows, wrong.to_json()]))


def test_the_chart_has_no_empty_frames(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown: list[bool] = []
    save = Figure.savefig

    def savefig(figure: Figure, *args: object, **options: object) -> None:
        shown.extend(axis.get_visible() for axis in figure.axes)
        save(figure, *args, **options)

    monkeypatch.setattr(Figure, "savefig", savefig)
    env = latency.environment.flat(latency.environment.describe(threads=1), load_after=0.5, tf32=False)
    rows = [measurement(5.0, network=name).to_json() for name in ("vdsr", "srcnn", "drcn", "memnet")]
    chart.chart({"env": env, "cases": rows}, tmp_path / "chart.png")
    assert shown == [True] * 4 + [False] * 2


def test_the_short_table_has_the_quickest_of_every_precision() -> None:
    rows = [
        measurement(40.0, engine="eager", variant="plain"),
        measurement(30.0, engine="channels_last"),
        measurement(20.0, 20.0, 30.0, engine="OpenVINO", load=3.0),
        measurement(10.0, engine="compile", parity=Parity(1.0, 1.0, 3.0, ok=False)),
        measurement(5.0, engine="OpenVINO", precision="bf16"),
    ]
    (line,) = results.best({"cases": [row.to_json() for row in rows]}).splitlines()[2:]
    assert line == "| edsr_baseline x4 | 2x100x125 | 100 | 50*, OpenVINO, 3.0x | 12.5, OpenVINO, 3.0x |"
    rows[4] = dataclasses.replace(rows[4], parity=Parity(None, None, None, ok=False))
    (line,) = results.best({"cases": [row.to_json() for row in rows]}).splitlines()[2:]
    assert line.endswith("| 50*, OpenVINO, 3.0x |  |")
    assert results.rounded(0.00123) == "0.00123"


@pytest.mark.parametrize("fault", ["unknown field", "negative time", "no cases", "another schema", "precision"])
def test_the_schema_refuses(fault: str, tmp_path: Path) -> None:
    sound = {
        "schema": results.SCHEMA,
        "env": json.loads(
            json.dumps(latency.environment.flat(latency.environment.describe(threads=1), load_after=0.5, tf32=False))
        ),
        "device": None,
        "missing": {},
        "cases": [measurement(10.0).to_json()],
    }
    results.validated(sound)
    broken = copy.deepcopy(sound)
    match fault:
        case "unknown field":
            broken["cases"][0]["speed"] = 1
        case "negative time":
            broken["cases"][0]["ms"]["min"] = -1.0
        case "no cases":
            broken["cases"] = []
        case "another schema":
            broken["schema"] = "srblocks.bench/2"
        case "precision":
            broken["cases"][0]["precision"] = "int8"
    with pytest.raises(jsonschema.ValidationError):
        results.validated(broken)
