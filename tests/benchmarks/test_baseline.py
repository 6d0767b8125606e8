"""The committed figures: which times compare with them, and what stands for them."""

from dataclasses import replace

import pytest

from benchmarks.baselines import MACHINE, TIMED, TOOLS, relative
from harness import baseline
from harness.baseline import FAILS, LEFT_OUT, Baseline


@pytest.mark.parametrize(
    ("change", "library", "reason"),
    [
        ({"cpu": {**MACHINE["cpu"], "name": "Other"}}, "torch", "processor Other here, Some CPU in the baseline"),
        ({"cpu": {**MACHINE["cpu"], "flags": []}}, "torch", "flags  here, avx2 in the baseline"),
        ({"threads": 2}, "torch", "threads 2 here, 1 in the baseline"),
        ({"versions": {"torch": "2.15.0"}}, "torch", "torch 2.15.0 here, 2.14.1 in the baseline"),
        ({"versions": {"torch": "2.14.1"}}, "onnxruntime", "onnxruntime None here, 1.31.1 in the baseline"),
        ({"versions": {"torch": "2.14.1"}}, "torch", ""),
        ({"cpu": {**MACHINE["cpu"], "cores": 8}}, "torch", ""),
    ],
)
def test_times_of_another_machine_are_not_compared(change: dict, library: str, reason: str) -> None:
    known = Baseline(TOOLS, {}, MACHINE, {TIMED: 2.0})
    now = {TIMED: relative(90.0, library=library)}
    (one,) = baseline.compare_ratios(known, now, {}, {**MACHINE, **change})
    assert (one.verdict, one.reason) == ((LEFT_OUT, reason) if reason else (FAILS, ""))


def test_times_that_one_side_lacks() -> None:
    known = Baseline(TOOLS, {}, MACHINE, {TIMED: 2.0, "gone": 1.0})
    absent = {TIMED: "openvino is not installed", "never there": "openvino is not installed"}
    verdicts = {
        one.subject: (one.verdict, one.reason)
        for one in baseline.compare_ratios(known, {"new": relative(1.0)}, absent, MACHINE)
    }
    assert verdicts == {
        TIMED: (LEFT_OUT, "openvino is not installed"),
        "gone": (FAILS, "measured no more"),
        "new": (LEFT_OUT, "not in the baseline"),
    }


def test_the_digest_is_of_figures_and_versions_in_any_order() -> None:
    first = Baseline(TOOLS, {"a": {"x": 1, "y": 2}, "b": {"x": 3}}, None, {"t": 1.5})
    same = Baseline(TOOLS, {"b": {"x": 3}, "a": {"y": 2, "x": 1}}, MACHINE, {"t": 1.5})
    assert first.digest == same.digest
    others = [replace(first, ratios={"t": 1.6}), replace(first, figures={"a": {"x": 1, "y": 3}, "b": {"x": 3}})]
    others += [replace(first, versions={}), replace(first, previous="1a2b3c4d")]
    assert len({first.digest, *(other.digest for other in others)}) == 5
