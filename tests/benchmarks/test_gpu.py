"""The GPU kit: steps in processes, resumable, within the time of a call."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import gpu
from gpu import Step
from helpers.support import REPOSITORY

PRINT = (("{python}", "-c", "print('text'); print('{\"ms\": 1.5}')"),)


def run(folder: Path, plan: list[Step] | None, *options: str) -> tuple[int, dict[str, Any]]:
    """Run the kit; return its exit code and its record."""
    file = folder / "gpu.json"
    code = gpu.main(["--json", str(file), "--work", str(folder / "work"), "--device", "cpu", *options], plan)
    return code, json.loads(file.read_text()) if file.is_file() else {}


def results(record: dict[str, Any]) -> dict[str, str]:
    return {row["step"]: row["result"] for row in record["rows"]}


def test_results_are_kept_and_finished_steps_skipped(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    write = (("{python}", "-c", f"open({str(marker)!r}, 'a').write('x')"), *PRINT)
    plan = [
        Step("good", write, 1),
        Step("bad", (("{python}", "-c", "raise SystemExit(3)"), write[0]), 1),
        Step("slow", (("{python}", "-c", "import time; print('started', flush=True); time.sleep(60)"),), 0.02),
        Step("absent", PRINT, 1, ("no_such_module",)),
        Step("after", PRINT, 1, ("files",)),
    ]
    code, record = run(tmp_path, plan)
    assert code == 1
    assert results(record) == {"good": "ok", "bad": "exit code 3", "slow": "took over 0.02 minutes"}
    assert record["rows"][0]["figures"] == {"ms": 1.5}
    assert record["rows"][2]["output"] == "started\n"
    assert record["rows"][2]["seconds"] < 30
    assert record["skipped"] == {
        "absent": "no_such_module is not installed",
        "after": "the step files was not run",
    }
    assert marker.read_text() == "x"  # the second command of the failed step did not run
    run(tmp_path, plan)
    assert marker.read_text() == "x"
    run(tmp_path, plan, "--only", "good")
    assert marker.read_text() == "xx"
    code, record = run(tmp_path, [Step("good", PRINT, 1), Step("bad", PRINT, 1)], "--force", "--only", "good", "bad")
    assert results(record)["bad"] == "ok"


def test_no_step_starts_that_does_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, record = run(tmp_path, [Step("long", PRINT, 8), Step("short", PRINT, 1)], "--minutes", "2")
    assert (code, results(record)) == (0, {"short": "ok"})
    assert "left for the next call: long" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run(tmp_path, [Step("long", PRINT, 8)], "--only", "lang")
    assert "unknown step 'lang'; available: long" in capsys.readouterr().err


def test_killed_call_loses_only_the_running_step(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, 'benchmarks'); import gpu\n"
        "one = gpu.Step('one', (('{python}', '-c', ''),), 1)\n"
        "two = gpu.Step('two', (('{python}', '-c', 'import time; time.sleep(60)'),), 2)\n"
        "gpu.main(['--device', 'cpu', '--json', sys.argv[1], '--work', sys.argv[2]], [one, two])"
    )
    file = tmp_path / "gpu.json"
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "export")}
    command = [sys.executable, "-c", code, str(file), str(tmp_path)]
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("two ..."):
                break
        process.send_signal(signal.SIGKILL)
    assert results(json.loads(file.read_text())) == {"one": "ok"}
    start = time.monotonic()
    assert results(run(tmp_path, [Step("one", (("no such program",),), 1), Step("two", PRINT, 1)])[1]) == {
        "one": "ok",
        "two": "ok",
    }
    assert time.monotonic() - start < 30


def test_dry_run_shows_steps_and_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["--dry-run", "--json", str(tmp_path / "gpu.json")]) == 0
    out = capsys.readouterr().out
    for step in gpu.steps("cuda"):
        assert f"{step.name} " in out
    assert "--library tensorrt --force" in out
    names = [step.name for step in (*gpu.steps("cuda"), *gpu.steps("cpu"))]
    assert len(set(names)) == len(names) - 1  # both have the step "files"
    assert max(step.minutes for step in (*gpu.steps("cuda"), *gpu.steps("cpu"))) < 9
    assert not (tmp_path / "gpu.json").exists()
