"""The gate of the continuous integration: what passes it, what does not, and what it says; nothing is timed here."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

import check
from benchmarks.baselines import MACHINE, TIMED, TOOLS, relative
from harness import figures
from harness.baseline import BETTER, EQUAL, FAILS, WARNS, Baseline
from harness.ratios import Relative
from helpers.support import REPOSITORY
from srblocks import list_networks
from srblocks.networks import network_specs

ROW = {"parameters x2": 40, "MACs x2": 900, "graph nodes": 3, "artifact bytes": 2000}


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A baseline of one network, its line in a changelog, and a registry and figures of two."""
    path, changelog = tmp_path / "baseline.json", tmp_path / "CHANGELOG.md"
    monkeypatch.setattr(check, "BASELINE", path)
    monkeypatch.setattr(check, "CHANGELOG", changelog)
    monkeypatch.setattr(check, "tools", lambda: TOOLS)
    publish(Baseline(TOOLS, {"fsrcnn": ROW}))
    found(monkeypatch, fsrcnn=ROW)
    return path


def publish(known: Baseline) -> None:
    """Commit a baseline with its line."""
    known.write(check.BASELINE)
    check.CHANGELOG.write_text(f"# Changelog\n\n- Benchmark baseline {known.digest}: because.\n")


def found(monkeypatch: pytest.MonkeyPatch, **rows: Mapping[str, int]) -> None:
    """Let the registry have these networks, with these figures."""
    monkeypatch.setattr(check, "list_networks", lambda: list(rows))
    monkeypatch.setattr(check, "figures_of", lambda names: {name: dict(rows[name]) for name in names})


def timed(monkeypatch: pytest.MonkeyPatch, one: Relative, machine: Mapping[str, object] = MACHINE) -> None:
    """Let one time be measured."""
    monkeypatch.setattr(check, "ratios_of", lambda cases, **options: ({TIMED: one}, {}))
    monkeypatch.setattr(check, "machine", lambda threads: dict(machine))


def test_equal_figures_pass(committed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = committed.read_bytes()
    assert check.main([]) == 0
    assert capsys.readouterr().out == "figures: 4 equal\n"
    assert committed.read_bytes() == before


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"MACs x2": 901}, "| fsrcnn | MACs x2 | 900 | 901 | +0.11% | fails |"),
        ({"MACs x2": 899}, "| fsrcnn | MACs x2 | 900 | 899 | -0.11% | fails |"),
        ({"graph nodes": 4}, "| fsrcnn | graph nodes | 3 | 4 | +33.33% | fails |"),
        ({"MACs x3": 7}, "| fsrcnn | MACs x3 |  | 7 |  | fails: not in the baseline |"),
    ],
)
def test_another_figure_fails(
    row: dict, told: str, committed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found(monkeypatch, fsrcnn=ROW | row)
    assert check.main([]) == 1
    out = capsys.readouterr().out
    assert told in out
    assert out.endswith("if that is meant: python benchmarks/check.py --write-baseline fsrcnn\n")


def test_a_figure_that_is_counted_no_more_fails(
    committed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found(monkeypatch, fsrcnn={name: value for name, value in ROW.items() if name != "MACs x2"})
    assert check.main([]) == 1
    assert "| fsrcnn | MACs x2 | 900 |  |  | fails: in the baseline alone |" in capsys.readouterr().out


def test_a_new_network_fails_until_its_row_and_its_reason_are_there(
    committed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found(monkeypatch, fsrcnn=ROW, espcn={"parameters x3": 7})
    assert check.main([]) == 1
    out = capsys.readouterr().out
    assert "| espcn |  |  |  |  | fails: not in the baseline |" in out
    command = "python benchmarks/check.py --write-baseline espcn"
    assert f"if that is meant: {command}\n" in out
    assert check.main(command.split()[2:]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert json.loads(committed.read_text())["figures"] == {"espcn": {"parameters x3": 7}, "fsrcnn": ROW}

    for text in ("", f"{line}\n", f"text {line[2:21]}\n", line.replace(check.WHY, "")):
        check.CHANGELOG.write_text(text)
        assert check.main([]) == 1
        assert capsys.readouterr().out == f"figures: 5 equal\nCHANGELOG.md lacks the line of this baseline:\n{line}\n"
    check.CHANGELOG.write_text(line.replace(check.WHY, "ESPCN is new."))
    assert check.main([]) == 0


def test_a_network_that_is_gone_fails_until_its_row_is(
    committed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found(monkeypatch, espcn=ROW)
    publish(Baseline(TOOLS, {"espcn": ROW, "fsrcnn_gone": ROW}))
    assert check.main([]) == 1
    out = capsys.readouterr().out
    assert "| fsrcnn_gone |  |  |  |  | fails: no network of the registry any more |" in out
    assert check.main(["--write-baseline", "fsrcnn_gone"]) == 0
    assert json.loads(committed.read_text())["figures"] == {"espcn": ROW}


def test_partial_writing_keeps_other_rows_and_the_times(committed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found(monkeypatch, fsrcnn=ROW | {"MACs x2": 1}, espcn=ROW | {"MACs x2": 2})
    publish(Baseline(TOOLS, {"fsrcnn": ROW, "espcn": ROW}, MACHINE, {TIMED: 2.0}))
    assert check.main(["--write-baseline", "espcn"]) == 0
    written = Baseline.read(committed)
    assert written.figures == {"fsrcnn": ROW, "espcn": ROW | {"MACs x2": 2}}
    assert (written.ratios, written.machine) == ({TIMED: 2.0}, MACHINE)
    assert check.main(["--write-baseline"]) == 0
    assert Baseline.read(committed).figures["fsrcnn"]["MACs x2"] == 1


def test_other_tools_leave_out_what_they_decide(
    committed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check, "tools", lambda: TOOLS | {"torch": "2.15.0"})
    found(monkeypatch, fsrcnn=ROW | {"graph nodes": 9, "artifact bytes": 9}, espcn=ROW)
    assert check.main(["fsrcnn"]) == 0
    reason = "torch 2.15.0 here, 2.14.1 in the baseline"
    assert capsys.readouterr().out == f"figures: 2 equal\nnot compared: 2, {reason}\n"
    before = committed.read_bytes()
    with pytest.raises(
        SystemExit, match=f"{reason}; install the baseline's .pip install -c constraints.txt., or write all"
    ):
        check.main(["--write-baseline", "espcn"])
    assert committed.read_bytes() == before
    assert check.main(["--write-baseline"]) == 0
    written = Baseline.read(committed)
    assert (written.versions["torch"], written.figures["espcn"]) == ("2.15.0", ROW)
    found(monkeypatch, fsrcnn=ROW | {"MACs x2": 1})
    monkeypatch.setattr(check, "tools", lambda: TOOLS)
    assert check.main(["fsrcnn"]) == 1


def test_a_baseline_is_written_with_all_tools_or_not_at_all(committed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = committed.read_bytes()
    monkeypatch.setattr(check, "tools", lambda: {"torch": "2.14.1"})
    with pytest.raises(SystemExit, match=r'needs onnx, onnx-ir, onnxscript; pip install -e "\.\[onnx\]"'):
        check.main(["--write-baseline"])
    assert committed.read_bytes() == before


def test_a_file_of_another_schema_is_refused(committed: Path) -> None:
    committed.write_text('{"schema": "srblocks.baseline/0"}')
    with pytest.raises(SystemExit, match=r"baseline\.json is no file of srblocks\.baseline/1.*make bench-baseline"):
        check.main([])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["fsrcn"], "unknown network 'fsrcn'; did you mean fsrcnn"),
        (["--write-baseline", "fsrcn"], "unknown network 'fsrcn'; did you mean fsrcnn"),
        (["--output", "gha.json"], "give both"),
    ],
)
def test_wrong_usage(arguments: list[str], told: str, committed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        check.main(arguments)
    assert stop.value.code == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("milliseconds", "verdict", "code"),
    [(25.2, FAILS, 1), (24.9, WARNS, 0), (22.2, WARNS, 0), (21.9, EQUAL, 0), (18.1, EQUAL, 0), (17.9, BETTER, 0)],
)
def test_times_are_judged_by_their_ratio(
    milliseconds: float, verdict: str, code: int, committed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    publish(Baseline(TOOLS, {"fsrcnn": ROW}, MACHINE, {TIMED: 2.0}))
    for clock in (1.0, 7.0):  # a slower machine is slower in both
        timed(monkeypatch, relative(milliseconds * clock, reference=10.0 * clock))
        assert check.main(["--times", "--json", str(tmp_path / "found.json")]) == code
        result = json.loads((tmp_path / "found.json").read_text())
        (time,) = (one for one in result["findings"] if one["figure"] == "time")
        assert (time["baseline"], time["verdict"]) == (2.0, verdict)
        assert time["now"] == pytest.approx(milliseconds / 10)
        assert result["passed"] == (code == 0)


def test_the_minimum_counts_and_noise_does_not_fail(
    committed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(Baseline(TOOLS, {"fsrcnn": ROW}, MACHINE, {TIMED: 2.0}))
    timed(monkeypatch, relative(90.0, 20.0, 90.0))
    assert check.main(["--times", "--strict"]) == 0
    assert f"noisy: {TIMED}, uneven" in capsys.readouterr().out
    timed(monkeypatch, relative(26.0, load=2.1, cores=2))
    assert check.main(["--times"]) == 0
    assert "| 2.000 | 2.600 | +30.00% | warns: load 2.1 on 2 cores |" in capsys.readouterr().out
    assert check.main(["--times", "--strict"]) == 1
    assert "if the times are meant: python benchmarks/check.py --write-baseline --times" in capsys.readouterr().out


def test_times_are_written_only_when_asked_for(committed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed(monkeypatch, relative(20.0, load=0.4))
    assert check.main(["--write-baseline"]) == 0
    first = Baseline.read(committed)
    assert first == Baseline(TOOLS, {"fsrcnn": ROW})
    assert check.main(["--write-baseline", "fsrcnn", "--times"]) == 0
    written = Baseline(TOOLS, {"fsrcnn": ROW}, MACHINE | {"load": 0.4}, {TIMED: 2.0}, first.digest)
    assert Baseline.read(committed) == written


def test_output_for_github_action_benchmark(
    committed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    timed(monkeypatch, relative(20.0, 22.0, 24.0, 26.0, load=9.0))
    assert check.main(["--format", "gha", "--times"]) == 0
    out, err = capsys.readouterr()
    entries = json.loads(out)
    assert err.startswith("figures: 4 equal")
    assert len({entry["name"] for entry in entries}) == len(entries) == 5
    for entry in entries:
        assert {"name", "unit", "value"} <= set(entry) <= {"name", "unit", "value", "range", "extra"}
        assert isinstance(entry["value"], (int, float))
        assert all(isinstance(entry[key], str) for key in set(entry) - {"value"})
    assert entries[0] == {"name": "fsrcnn: parameters x2", "unit": "parameters", "value": 40}
    assert [entry["unit"] for entry in entries] == ["parameters", "MACs", "nodes", "bytes", "x reference"]
    extra = "4 rounds, load 9.0 on 1 cores"
    assert entries[-1] == {"name": TIMED, "unit": "x reference", "value": 2.0, "range": "± 0.2", "extra": extra}

    found(monkeypatch, fsrcnn=ROW | {"MACs x2": 901})
    assert check.main(["--format", "gha", "--output", str(tmp_path / "gha.json")]) == 1
    out, err = capsys.readouterr()
    assert ("| MACs x2 | 900 | 901 |" in out, err) == (True, "")
    assert json.loads((tmp_path / "gha.json").read_text())[1]["value"] == 901


def test_going_back_takes_a_reason_too(
    committed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for macs in (901, 900):
        found(monkeypatch, fsrcnn=ROW | {"MACs x2": macs})
        assert check.main(["--write-baseline"]) == 0
        assert check.main([]) == 1
        line = capsys.readouterr().out.splitlines()[-1]
        check.CHANGELOG.write_text(f"{check.CHANGELOG.read_text()}{line.replace(check.WHY, 'because.')}\n")
        assert check.main([]) == 0
    before = committed.read_bytes()
    assert check.main(["--write-baseline"]) == 0
    assert committed.read_bytes() == before


def test_the_committed_figures_are_of_the_versions_that_are_developed_with() -> None:
    pins = dict(re.findall(r"^([\w-]+)==([\w.]+)$", (REPOSITORY / "constraints.txt").read_text(), re.MULTILINE))
    known = Baseline.read(check.BASELINE).versions
    assert known == {name: pins[name] for name in figures.TOOLS}


def test_the_committed_baseline_is_of_every_network_and_explained() -> None:
    known = Baseline.read(check.BASELINE)
    assert list(known.figures) == list_networks()
    assert check.explained(known), f"CHANGELOG.md lacks {check.entry(known)!r}"
    for spec in network_specs():
        assert {
            f"{figure} x{scale}" for figure in ("parameters", "MACs", "peak bytes") for scale in spec.scales
        } <= set(known.figures[spec.name])


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(["srcnn_915"], id="one process"),
        pytest.param(["fsrcnn_s", "espcn"], id="processes", marks=pytest.mark.slow),
    ],
)
def test_figures_of_now_are_the_committed_ones(
    names: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(figures.environment, "cores", lambda: 2)
    assert check.main(names) == 0, capsys.readouterr().out
