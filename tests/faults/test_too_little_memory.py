"""Less memory than a command needs: it says so, and does what can be done."""

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
    """A small image, a large one, and a small one."""
    folder = commands.folder / "large"
    folder.mkdir()
    for name, side in (("a.png", 20), ("b.png", 3000), ("c.png", 20)):
        write_image(ImageFile(np.zeros((side, side, 3), np.uint8)), folder / name)
    return folder


@pytest.mark.parametrize("options", [[], ["--tile", "999999999"]], ids=["tile of its own", "absurd tile"])
def test_an_image_that_is_too_large_keeps_no_other_from_being_upscaled(
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


def test_an_image_that_is_too_large_keeps_no_other_from_being_evaluated(commands: Commands, large: Path) -> None:
    found = commands.run("evaluate", "--data", large, "--scale", 2, "-q", more_memory=60 * MEBIBYTE)
    assert found.code == 10
    assert found.err == f"srblocks-evaluate: {large / 'b.png'}: not enough memory; use a smaller image\n"
    assert [line.split()[0] for line in found.out.splitlines()[2:5]] == ["a.png", "c.png", "mean"]


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["--shape", "1x1x3000x3000"], "not enough memory to run the network at 1x1x3000x3000; use a smaller"),
        (
            ["--shape", "1x1x3000x3000", "--precision", "fp16"],
            "not enough memory to run the network at 1x1x3000",
        ),
        (["edsr", "--scale", "2"], "not enough memory; free some memory, or use a smaller network or shape"),
    ],
    ids=" ".join,
)
def test_an_export_that_is_too_large_is_said_to_be_and_leaves_nothing(
    commands: Commands, tmp_path: Path, arguments: list[str], message: str
) -> None:
    found = commands.run("export", *arguments, "--torchscript", "-q", "-o", tmp_path / "out", more_memory=60 * MEBIBYTE)
    assert (found.code, found.out) == (7, "")
    assert found.err.startswith(f"srblocks-export: E701 {message}")
    assert found.err.count("\n") == 1
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_weights_that_are_too_large_are_said_to_be(commands: Commands, images: Path, tmp_path: Path) -> None:
    weights = tmp_path / "edsr.safetensors"
    save_checkpoint(create_network("edsr_baseline", scale=2, width=160), weights)
    for program, rest in (("upscale", [images, "-o", tmp_path, "--model"]), ("evaluate", ["--data", images])):
        options = [*rest, *["--scale", 2, "--weights"] * (program == "evaluate"), weights]
        found = commands.run(program, *options, more_memory=8 * MEBIBYTE)
        assert found.code == 9, found.err
        assert found.err.endswith(": not enough memory for the model\n")
    assert [path.name for path in tmp_path.iterdir()] == [weights.name]


@pytest.mark.parametrize(
    "error,is_one",
    [
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"), True),
        (Exception("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : bad allocation"), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("expected a tensor in memory format channels last"), False),
        (ValueError("memory"), False),
    ],
    ids=str,
)
def test_what_libraries_say_of_too_little_memory_is_known(error: Exception, is_one: bool) -> None:
    assert is_out_of_memory(error) == is_one
