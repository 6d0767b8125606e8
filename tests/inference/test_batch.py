"""Upscaling of images and files: pixels, metadata, warnings and failures."""

import errno
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.images import waves
from srblocks import load_pretrained, on_rgb
from srblocks._utils.files import temporary_name
from srblocks.inference import UpscaleError, Upscaler, batch, from_network
from srblocks.inference.batch import APPROXIMATE, PADDED, run_job, upscale_bytes, upscale_file, upscale_image
from srblocks.inference.images import ImageFile, ImageFileError, read_image, write_image
from srblocks.inference.paths import Job
from srblocks.resize import imresize


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return from_network(on_rgb(load_pretrained("fsrcnn", scale=2)), "fsrcnn")


def fsrcnn_output(pixels: np.ndarray) -> np.ndarray:
    """Return the rounded output of the bundled FSRCNN x2 on RGB."""
    white = np.iinfo(pixels.dtype).max
    lr = torch.from_numpy(pixels.astype(np.float32) / np.float32(white)).permute(2, 0, 1)[None].contiguous()
    with torch.no_grad():
        sr = on_rgb(load_pretrained("fsrcnn", scale=2)).eval()(lr)
    return (sr[0].permute(1, 2, 0).clamp(0, 1) * white).round().numpy().astype(pixels.dtype)


@pytest.mark.parametrize("white", [255, 65535])
def test_colors_match_the_network_in_8_and_16_bits(upscaler: Upscaler, white: int) -> None:
    image = ImageFile(waves(31, 22, white=white))
    upscaled = upscale_image(upscaler, image).pixels
    assert upscaled.dtype == image.pixels.dtype
    assert np.array_equal(upscaled, fsrcnn_output(image.pixels))


@pytest.mark.parametrize("white", [255, 65535])
def test_gray_is_upscaled_as_rgb(upscaler: Upscaler, white: int) -> None:
    gray = waves(100, 40, 1, white=white)
    upscaled = upscale_image(upscaler, ImageFile(gray)).pixels
    luma = fsrcnn_output(np.repeat(gray, 3, axis=2)) @ np.array([0.299, 0.587, 0.114])
    assert upscaled.shape == (200, 80, 1)
    assert upscaled.dtype == gray.dtype
    assert np.abs(upscaled[..., 0] - luma).max() < (0.51 if white == 255 else 1.5)


@pytest.mark.parametrize("white", [255, 65535])
def test_alpha_is_upscaled_by_matlab_bicubic(upscaler: Upscaler, white: int) -> None:
    alpha = waves(23, 17, 1, white=white)
    alpha[:9] = 0
    alpha[9:14] = white
    upscaled = upscale_image(upscaler, ImageFile(waves(23, 17, white=white), alpha)).alpha
    exact = np.clip(imresize(alpha[..., 0] / white, 2), 0, 1) * white
    assert upscaled is not None
    assert upscaled.dtype == alpha.dtype
    assert np.abs(upscaled[..., 0] - exact).max() < (0.51 if white == 255 else 0.6)


def test_large_images_with_alpha_are_upscaled_in_tiles(upscaler: Upscaler) -> None:
    image = ImageFile(waves(30, 1200), waves(30, 1200, 1))
    untiled, tiles = (upscale_image(upscaler, image, tile=tile) for tile in (2000, 64))
    assert np.abs(untiled.pixels.astype(int) - tiles.pixels).max() <= 1
    exact = np.clip(imresize(image.alpha[..., 0] / 255, 2), 0, 1) * 255
    assert np.abs(tiles.alpha[..., 0] - exact).max() < 0.51
    assert tiles.warnings == ()


def test_approximate_tiles_are_reported(upscaler: Upscaler) -> None:
    with_global_field = replace(upscaler, radius=None, tile=128)
    assert upscale_image(with_global_field, ImageFile(waves(40, 130))).warnings == (APPROXIMATE,)
    assert upscale_image(with_global_field, ImageFile(waves(40, 120))).warnings == ()
    assert upscale_image(with_global_field, ImageFile(waves(40, 120)), tile=100).warnings == (APPROXIMATE,)


def test_upscale_bytes_matches_upscale_file(upscaler: Upscaler, tmp_path: Path) -> None:
    for image_format, suffix in (("PNG", ".png"), ("JPEG", ".jpg"), ("TIFF", ".tif"), ("WEBP", ".webp")):
        source, target = tmp_path / f"a{suffix}", tmp_path / image_format / f"b{suffix}"
        write_image(ImageFile(waves(20, 30), None if image_format == "JPEG" else waves(20, 30, 1)), source)
        upscale_file(upscaler, source, target)
        assert upscale_bytes(upscaler, source.read_bytes()) == target.read_bytes(), image_format
        assert read_image(target).format == image_format
        assert upscale_bytes(upscaler, source.read_bytes(), format="PNG").startswith(b"\x89PNG"), image_format
        assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_metadata_is_kept_and_its_size_updated(upscaler: Upscaler, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769).update({0xA002: 30, 0xA003: 20, 0x9003: "2026:11:21 10:00:00"})
    profile = b"a profile" * 100
    Image.fromarray(waves(20, 30)).save(tmp_path / "a.jpg", exif=exif, icc_profile=profile, dpi=(300, 300))
    loaded = upscale_file(upscaler, tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert loaded.warnings == ()
    with Image.open(tmp_path / "b.jpg") as image:
        camera = image.getexif().get_ifd(0x8769)
        assert image.size == (60, 40)
        assert (image.getexif()[0x0112], camera[0xA002], camera[0xA003]) == (6, 60, 40)
        assert camera[0x9003] == "2026:11:21 10:00:00"
        assert (image.info["icc_profile"], image.info["dpi"]) == (profile, (300, 300))


def test_lossy_conversions_are_reported(upscaler: Upscaler, tmp_path: Path) -> None:
    write_image(ImageFile(waves(9, 9, white=65535), waves(9, 9, 1, white=65535)), tmp_path / "a.png")
    warnings = upscale_file(upscaler, tmp_path / "a.png", tmp_path / "b.jpg").warnings
    assert warnings == ("16 bits rounded to 8 for JPEG", "transparency replaced by white: not supported by JPEG")


def test_outputs_too_large_for_their_format_are_rejected_first(tmp_path: Path) -> None:
    write_image(ImageFile(np.zeros((1, 33000, 3), np.uint8)), tmp_path / "a.jpg")
    idle = Upscaler("idle", lambda _: pytest.fail("the network ran"), 2, "rgb")
    with pytest.raises(ImageFileError, match="JPEG supports sides of up to 65500 pixels, got 66000x2"):
        upscale_file(idle, tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert not (tmp_path / "b.jpg").exists()


def broken(error: BaseException) -> Upscaler:
    def run(batch: np.ndarray) -> np.ndarray:
        raise error

    return Upscaler("broken", run, 2, "rgb")


def test_failed_job_has_a_reason_and_keeps_the_old_output(tmp_path: Path) -> None:
    write_image(ImageFile(waves(5, 5)), tmp_path / "a.png")
    (tmp_path / "b.png").write_text("previous output")
    for error, reason in (
        (MemoryError("too much"), "not enough memory; use a smaller --tile"),
        (RuntimeError("wrong kind\nof tensor"), "RuntimeError: wrong kind"),
        (ValueError("wrong size\nof tensor"), "wrong size"),
        (KeyError("name"), "KeyError: 'name'"),
    ):
        outcome = run_job(broken(error), Job(tmp_path / "a.png", tmp_path / "b.png"))
        assert (outcome.status, outcome.reason) == ("failed", reason)
        assert (tmp_path / "b.png").read_text() == "previous output"
        assert len(list(tmp_path.iterdir())) == 2


def test_unreadable_files_have_a_reason(upscaler: Upscaler, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not an image")
    reasons = [
        run_job(upscaler, Job(tmp_path / name, tmp_path / "b.png")).reason for name in ("text.png", "absent.png")
    ]
    assert reasons[0].startswith("not a supported PNG, JPEG, WebP, TIFF or BMP image")
    assert reasons[1] == "No such file or directory"


def test_unwritable_output_raises(upscaler: Upscaler, tmp_path: Path) -> None:
    write_image(ImageFile(waves(5, 5)), tmp_path / "a.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(UpscaleError, match="cannot be written") as caught:
        run_job(upscaler, Job(tmp_path / "a.png", tmp_path / "file" / "b.png"))
    assert caught.value.exit_code == 3


def test_long_file_names(upscaler: Upscaler, tmp_path: Path) -> None:
    write_image(ImageFile(waves(5, 5)), tmp_path / "a.png")
    names = ["n" * 251 + ".png", "n" * 250 + ".tiff", "\u00fc" * 125 + ".png", "\u732b" * 83 + "n.jpg"]
    names.append("\U0001f408" * 62 + ".png")
    for name in names:
        assert run_job(upscaler, Job(tmp_path / "a.png", tmp_path / "out" / name)).status == "done", name
        temporary = temporary_name(Path(name))
        assert (temporary.suffix, len(os.fsencode(temporary.name)) <= 255) == (Path(name).suffix, True)
        assert temporary.name.startswith(".")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {*names}


def test_temporary_names_contain_the_name_of_the_output() -> None:
    assert temporary_name(Path("below", "photo.png")).name.endswith("-photo.png")
    assert temporary_name(Path("below", "photo.png")).parent == Path("below")


def test_only_disk_errors_stop_the_run(upscaler: Upscaler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(ImageFile(waves(5, 5)), tmp_path / "a.png")
    job = Job(tmp_path / "a.png", tmp_path / "b.png")
    of_one_file = (errno.ENAMETOOLONG, errno.EINVAL, errno.EFBIG)
    of_the_disk = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
    for number in of_one_file + of_the_disk:

        def fail(*_: object, number: int = number, **__: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(batch, "write_image", fail)
        message = f"{job.target} cannot be written ({os.strerror(number)})"
        if number in of_one_file:
            assert run_job(upscaler, job).reason == message
            continue
        with pytest.raises(UpscaleError, match=re.escape(message)) as caught:
            run_job(upscaler, job)
        assert caught.value.exit_code == 3


def test_outputs_that_cannot_be_created(upscaler: Upscaler, tmp_path: Path) -> None:
    write_image(ImageFile(waves(5, 5)), tmp_path / "a.png")
    job = Job(tmp_path / "a.png", tmp_path / ("n" * 252 + ".png"))
    assert (job.has_target(), job.is_finished()) == (False, False)
    outcome = run_job(upscaler, job)
    assert (outcome.status, "File name too long" in outcome.reason) == ("failed", True)
    (tmp_path / "folder.png").mkdir()
    assert run_job(upscaler, Job(tmp_path / "a.png", tmp_path / "folder.png")).status == "failed"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "folder.png"]


def test_interrupted_write_leaves_no_file(upscaler: Upscaler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(image: ImageFile, target: Path, **_: object) -> None:
        target.write_bytes(b"half an image")
        raise KeyboardInterrupt

    write_image(ImageFile(waves(5, 5)), tmp_path / "a.png")
    monkeypatch.setattr(batch, "write_image", interrupt)
    with pytest.raises(KeyboardInterrupt):
        upscale_file(upscaler, tmp_path / "a.png", tmp_path / "b.png")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_padding_is_reported() -> None:
    thirds = Upscaler("thirds", lambda batch: batch.repeat(2, 2).repeat(2, 3), 2, "rgb", size_multiple=3, radius=0)
    for side, padded in ((9, False), (10, True)):
        image = upscale_image(thirds, ImageFile(np.zeros((side, 9, 3), np.uint8)))
        assert image.pixels.shape == (2 * side, 18, 3)
        assert (PADDED in image.warnings) == padded
