"""Commands that run out of memory report it in one line and continue with the other images."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from helpers.commands import Commands
from srblocks import create_network, save_checkpoint
from srblocks._utils.memory import is_out_of_memory
from srblocks.inference.images import ImageFile, write_image

MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def large(commands: Commands) -> Iterator[Path]:
    """One large image between two small ones."""
    folder = commands.folder / "large"
    folder.mkdir()
    for name, side in (("a.png", 20), ("b.png", 3000), ("c.png", 20)):
        write_image(ImageFile(np.zeros((side, side, 3), np.uint8)), folder / name)
    return folder


@pytest.mark.parametrize("options", [[], ["--tile", "999999999"]], ids=["default tile", "huge tile"])
def test_other_images_are_upscaled_if_one_is_too_large(
    commands: Commands, large: Path, tmp_path: Path, options: list[str]
) -> None:
    memory = 60 * MEBIBYTE
    found = commands.run("upscale", large, "-o", tmp_path, "-q", *options, more_memory=memory)
    assert found.code == 10
    reason = "not enough memory; use a smaller --tile"
    assert found.err == f"srblocks-upscale: {large / 'b.png'}: {reason}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "c.png"]
    found = commands.run("upscale", large / "b.png", "-o", tmp_path / "only", "-q", *options, more_memory=memory)
    assert (found.code, list((tmp_path / "only").iterdir())) == (9, [])


def test_other_images_are_evaluated_if_one_is_too_large(commands: Commands, large: Path) -> None:
    found = commands.run("evaluate", "--data", large, "--scale", 2, "-q", more_memory=60 * MEBIBYTE)
    assert found.code == 10
    assert found.err == f"srblocks-evaluate: {large / 'b.png'}: not enough memory; use a smaller image\n"
    assert [line.split()[0] for line in found.out.splitlines()[2:5]] == ["a.png", "c.png", "mean"]


def test_export_that_is_too_large_is_one_error_and_leaves_no_files(commands: Commands, tmp_path: Path) -> None:
    shape = ["--shape", "1x1x3000x3000"]
    too_large = "not enough memory to run the network at 1x1x3000x3000; use a smaller"
    for message, *arguments in (
        (too_large, *shape),
        (too_large, *shape, "--precision", "fp16"),
        ("not enough memory; free some memory, or use a smaller network or shape", "edsr", "--scale", "2"),
    ):
        options = [*arguments, "--torchscript", "-q", "-o", tmp_path / "out"]
        found = commands.run("export", *options, more_memory=60 * MEBIBYTE)
        assert (found.code, found.out) == (7, ""), arguments
        assert found.err.startswith(f"srblocks-export: E701 {message}"), arguments
        assert found.err.count("\n") == 1, arguments
        assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == [], arguments


def test_weights_that_are_too_large_are_one_error(commands: Commands, images: Path, tmp_path: Path) -> None:
    weights = tmp_path / "edsr.safetensors"
    save_checkpoint(create_network("edsr_baseline", scale=2, width=160), weights)
    for program, rest in (("upscale", [images, "-o", tmp_path, "--model"]), ("evaluate", ["--data", images])):
        options = [*rest, *["--scale", 2, "--weights"] * (program == "evaluate"), weights]
        found = commands.run(program, *options, more_memory=8 * MEBIBYTE)
        assert found.code == 9, found.err
        assert found.err.endswith(": not enough memory for the model\n")
    assert [path.name for path in tmp_path.iterdir()] == [weights.name]


def test_out_of_memory_errors_of_libraries_are_recognized() -> None:
    for error in (
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        Exception("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : bad allocation"),
        RuntimeError("std::bad_alloc"),
    ):
        assert is_out_of_memory(error), error
    for error in (RuntimeError("expected a tensor in memory format channels last"), ValueError("memory")):
        assert not is_out_of_memory(error), error
