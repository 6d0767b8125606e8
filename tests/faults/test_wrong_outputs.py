"""Models and backends that give something else than an image: a clear error, and no file."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
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
    "small": (
        lambda sr: sr[..., 1:],
        "returned float32 of shape (1, 3, 60, 79), expected",
    ),
    "of one channel": (
        lambda sr: sr[:, :1],
        "returned float32 of shape (1, 1, 60, 80), expected",
    ),
    "turned": (lambda sr: sr.transpose(0, 1, 3, 2), "returned float32 of shape (1, 3, 80, 60), expected"),
    "without batch": (lambda sr: sr[0], "returned float32 of shape (3, 60, 80), expected"),
    "bytes": (lambda sr: (255 * sr).astype(np.uint8), "returned uint8 of shape (1, 3, 60, 80), expected"),
    "nothing": (lambda sr: None, "returned object of shape (), expected"),
}


def wrong(change: Callable[[np.ndarray], object], only: int | None = None) -> Upscaler:
    """Doubles pixels, and then does something else with the images, or with one of them."""
    number = iter(range(10**6))

    def run(batch: np.ndarray) -> object:
        sr = batch.repeat(2, 2).repeat(2, 3)
        return change(sr) if only in (None, next(number)) else sr

    return Upscaler("the model", run, 2, "rgb", radius=0)


@pytest.fixture
def model(request: pytest.FixtureRequest) -> tuple[Callable[[np.ndarray], object], str]:
    return WRONG[request.param]


@pytest.mark.parametrize("model", WRONG, indirect=True)
def test_the_image_fails_with_a_reason_and_no_file_is_written(
    model: tuple, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change, message = model
    for only, code in ((None, 9), (1, 10)):
        monkeypatch.setattr(open_model, "open_upscaler", lambda *_, only=only, **__: wrong(change, only))
        out = tmp_path / str(code)
        out.mkdir()
        (out / "b.jpg").write_text("what was there")
        assert command.main([str(images), "-o", str(out), "-q", "--force"]) == code
        err = capsys.readouterr().err
        assert f"srblocks-upscale: {images / 'b.jpg'}: the model returned" in err
        assert message in err
        assert (out / "b.jpg").read_text() == "what was there"
        assert len(list(out.iterdir())) == (1 if code == 9 else 3)


@pytest.mark.parametrize("model", WRONG, indirect=True)
def test_the_image_is_not_scored(
    model: tuple, images: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change, _ = model
    for only, code in ((None, 9), (1, 10)):
        monkeypatch.setattr(evaluating, "open_upscaler", lambda *_, only=only: wrong(change, only))
        assert evaluate_command.main(["--data", str(images), "--scale", "2"]) == code
        out, err = capsys.readouterr()
        assert f"srblocks-evaluate: {images / 'b.jpg'}: the model returned" in err
        assert [line.split()[0] for line in out.splitlines()[2:5]] == ([] if code == 9 else ["a.png", "c.tif", "mean"])
    with pytest.raises(ValueError, match=r"a.png: the model returned"):
        list(evaluate(wrong(change), [images / "a.png"]))


def test_no_other_shape_becomes_a_image(tally: Counter[str]) -> None:
    right = (1, 3, 12, 10)
    sides = st.integers(0, 13)

    @cases(50)
    @given(st.one_of(st.tuples(*[sides] * 4), st.lists(sides, max_size=5).map(tuple)))
    def check(shape: tuple[int, ...]) -> None:
        tally["wrong outputs"] += shape != right
        odd = Upscaler("the model", lambda _: np.zeros(shape, np.float32), 2, "rgb")
        for call, kind in ((odd, np.float32), (odd.upscale, np.uint8)):
            if shape == right:
                assert call(np.zeros((6, 5, 3), kind)).shape == (12, 10, 3)
            else:
                with pytest.raises(WrongOutputError, match="the model returned"):
                    call(np.zeros((6, 5, 3), kind))

    check()


@pytest.mark.parametrize(
    "change,problem",
    [
        (lambda sr: sr[..., 1:], "output is (1, 1, 4, 3) instead of (1, 1, 4, 4)"),
        (lambda sr: sr * np.nan, "16 values are NaN or infinite"),
        (lambda sr: sr / 0, "16 values are NaN or infinite"),
        (lambda sr: sr.astype(np.float64), "output is float64 instead of float32"),
        (lambda sr: sr.astype(np.uint8), "output is uint8 instead of float32"),
    ],
    ids=["shape", "nan", "infinite", "double", "bytes"],
)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_the_verification_knows_what_is_wrong(change: Callable[[np.ndarray], np.ndarray], problem: str) -> None:
    reference = np.ones((1, 1, 4, 4), np.float32)
    assert compare(change(reference), reference, spread=1.0).problem == problem
