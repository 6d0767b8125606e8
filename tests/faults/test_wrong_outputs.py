"""Models and backends whose output is not an image: a clear error, and no file."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from helpers.support import cases
from srblocks.evaluate import cli as evaluate_command
from srblocks.evaluate import evaluate
from srblocks.evaluate import run as evaluating
from srblocks.inference import Upscaler, WrongOutputError, open_model
from srblocks.inference import cli as command
from srblocks_export.verification.compare import compare

WRONG: dict[str, tuple[Callable[[np.ndarray], object], str]] = {
    "nan": (lambda sr: np.where(sr == sr[0, 0, 0, 0], np.nan, sr), "returned NaN or infinity in"),
    "infinite": (lambda sr: np.where(sr == sr[0, 0, 0, 0], np.inf, sr), "returned NaN or infinity in"),
    "too narrow": (lambda sr: sr[..., 1:], "returned float32 of shape (1, 3, 60, 79), expected"),
    "one channel": (lambda sr: sr[:, :1], "returned float32 of shape (1, 1, 60, 80), expected"),
    "transposed": (lambda sr: sr.transpose(0, 1, 3, 2), "returned float32 of shape (1, 3, 80, 60), expected"),
    "without batch": (lambda sr: sr[0], "returned float32 of shape (3, 60, 80), expected"),
    "uint8": (lambda sr: (255 * sr).astype(np.uint8), "returned uint8 of shape (1, 3, 60, 80), expected"),
    "none": (lambda sr: None, "returned object of shape (), expected"),
}


def broken_upscaler(change: Callable[[np.ndarray], object], only: int | None = None) -> Upscaler:
    """Return an upscaler that repeats pixels and changes the output of all images, or of the one with that index."""
    number = iter(range(10**6))

    def run(batch: np.ndarray) -> object:
        sr = batch.repeat(2, 2).repeat(2, 3)
        return change(sr) if only in (None, next(number)) else sr

    return Upscaler("the model", run, 2, "rgb", radius=0)


def test_image_with_wrong_output_fails_and_is_not_written(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, (change, message) in WRONG.items():
        for only, code in ((None, 9), (1, 10)):
            upscaler = broken_upscaler(change, only)
            monkeypatch.setattr(open_model, "open_upscaler", lambda *_, upscaler=upscaler, **__: upscaler)
            out = tmp_path / f"{name}{code}"
            out.mkdir()
            (out / "b.jpg").write_text("existing file")
            assert command.main([str(images), "-o", str(out), "-q", "--force"]) == code, name
            err = capsys.readouterr().err
            assert f"srblocks-upscale: {images / 'b.jpg'}: the model returned" in err, name
            assert message in err, name
            assert (out / "b.jpg").read_text() == "existing file", name
            assert len(list(out.iterdir())) == (1 if code == 9 else 3), name


def test_image_with_wrong_output_is_not_scored(
    images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, (change, _) in WRONG.items():
        for only, code in ((None, 9), (1, 10)):
            upscaler = broken_upscaler(change, only)
            monkeypatch.setattr(evaluating, "open_upscaler", lambda *_, upscaler=upscaler: upscaler)
            assert evaluate_command.main(["--data", str(images), "--scale", "2"]) == code, name
            out, err = capsys.readouterr()
            assert f"srblocks-evaluate: {images / 'b.jpg'}: the model returned" in err, name
            scored = [line.split()[0] for line in out.splitlines()[2:5]]
            assert scored == ([] if code == 9 else ["a.png", "c.tif", "mean"]), name
        with pytest.raises(ValueError, match=r"a.png: the model returned"):
            list(evaluate(broken_upscaler(change), [images / "a.png"]))


def test_outputs_of_other_shapes_are_errors(tally: Counter[str]) -> None:
    expected = (1, 3, 12, 10)
    sides = st.integers(0, 13)

    @cases(30)
    @given(st.one_of(st.tuples(*[sides] * 4), st.lists(sides, max_size=5).map(tuple)))
    @example(expected)
    def check(shape: tuple[int, ...]) -> None:
        tally["wrong outputs"] += shape != expected
        upscaler = Upscaler("the model", lambda _: np.zeros(shape, np.float32), 2, "rgb")
        for call, kind in ((upscaler, np.float32), (upscaler.upscale, np.uint8)):
            if shape == expected:
                assert call(np.zeros((6, 5, 3), kind)).shape == (12, 10, 3)
            else:
                with pytest.raises(WrongOutputError, match="the model returned"):
                    call(np.zeros((6, 5, 3), kind))

    check()


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_verification_names_the_problem() -> None:
    reference = np.ones((1, 1, 4, 4), np.float32)
    for output, problem in (
        (reference[..., 1:], "output is (1, 1, 4, 3) instead of (1, 1, 4, 4)"),
        (reference * np.nan, "16 values are NaN or infinite"),
        (reference / 0, "16 values are NaN or infinite"),
        (reference.astype(np.float64), "output is float64 instead of float32"),
        (reference.astype(np.uint8), "output is uint8 instead of float32"),
    ):
        assert compare(output, reference, spread=1.0).problem == problem
