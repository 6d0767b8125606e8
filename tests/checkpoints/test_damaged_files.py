"""Files that are not, or no longer, weights: each is refused with what it is and what to do; nothing is executed."""

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from helpers.support import facts, filled_by_name
from srblocks import create_network, load_checkpoint, save_checkpoint
from srblocks.checkpoints import CheckpointError, load_weights
from srblocks.network import Network

NAMES = ("net.safetensors", "net.pth")


@pytest.fixture
def net() -> Network:
    return create_network("fsrcnn", scale=3).eval()


class Hostile:
    """Unpickling this would create the file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_pickled_modules_are_rejected_and_never_executed(net: Network, tmp_path: Path) -> None:
    torch.save(net, tmp_path / "module.pth")
    torch.save({"head.0.weight": Hostile(tmp_path / "executed")}, tmp_path / "hostile.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Hostile(tmp_path / "executed"), protocol=2))
    for name in ("module.pth", "hostile.pth", "bare.pth"):
        with pytest.raises(CheckpointError, match=r"was not executed|nothing was executed"):
            load_weights(net, tmp_path / name)
    assert not (tmp_path / "executed").exists()


def test_a_published_pickled_module_is_rejected(net: Network, data: Path) -> None:
    with pytest.raises(CheckpointError, match=r"pickled Python object \(vdsr.Net\).*was not executed.*state_dict"):
        load_weights(net, data / "weights" / "vdsr_twtygqyy_model_epoch_50.pth")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04rest", b"\x80\x02abc", b"\x00" * 300])
def test_files_of_another_kind_are_rejected(net: Network, tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="file"):
        load_weights(net, path)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_truncated_files_are_rejected(net: Network, tmp_path: Path, part: float) -> None:
    save_checkpoint(net, tmp_path / "net.safetensors")
    torch.save(net.state_dict(), tmp_path / "net.pth")
    for name in NAMES:
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(CheckpointError, match=name):
            load_weights(net, tmp_path / name)


@pytest.mark.parametrize(
    "name,content,message",
    [
        ("page.pth", b"<!DOCTYPE html><html>404", r"page.pth: a web page, not a checkpoint; download the file itself"),
        ("page.safetensors", b"\n<html>Not found</html>", r"a web page"),
        ("page.mat", b"<?xml version='1.0'?><Error/>", r"a web page"),
        (
            "lfs.safetensors",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:",
            r"Git LFS pointer.*lfs pull",
        ),
        ("net.onnx", b"\x08\x08\x12\x07pytorch", r"an ONNX model, not a checkpoint"),
    ],
)
def test_failed_downloads_are_named(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / name)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_copy_in_text_mode_is_named(zipped: bool, net: Network, tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save(net.state_dict(), path, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes().decode("utf-8", errors="replace").encode())
    with pytest.raises(CheckpointError, match=r"corrupted by a copy in text mode; copy or download it again"):
        load_checkpoint(path)


def test_a_torchscript_archive_is_named(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), tmp_path / "net.pt")
    with pytest.raises(CheckpointError, match=r"a TorchScript model, not a checkpoint; save the module's state_dict"):
        load_checkpoint(tmp_path / "net.pt")


RING: dict[str, object] = {}
RING["state_dict"] = RING


@pytest.mark.parametrize(
    "content,found",
    [
        ([1.0], r"expected a state dict \(name -> tensor\), got a Python list"),
        ({}, r"expected a state dict \(name -> tensor\), got an empty dict"),
        ({"epoch": 3}, "but epoch is a Python int; save only tensors"),
        ({"head.weight": torch.ones(1), "epoch": 3}, "but epoch is a Python int"),
        ({"state_dict": [torch.ones(1)]}, "but state_dict is a Python list"),
        ({3: torch.ones(1)}, "but 3 is a Python Tensor"),
        (RING, "but state_dict is a Python dict"),
    ],
)
def test_a_file_without_tensors_by_name_is_rejected_with_what_it_holds(
    content: object, found: str, tmp_path: Path
) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=found):
        load_checkpoint(tmp_path / "other.pth")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_rejected_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    with pytest.raises(CheckpointError, match="pipe.pth: not a regular file"):
        load_checkpoint(tmp_path / "pipe.pth")


def test_control_characters_in_names_are_escaped(tmp_path: Path) -> None:
    torch.save({"\x1b[31mred\n": torch.ones(1), "x" * 3000: torch.ones(1)}, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match=r"2 tensors: '\\x1b\[31mred\\n'..., 'xxx") as caught:
        load_checkpoint(tmp_path / "odd.pth")
    assert len(str(caught.value)) < 500


def test_unreadable_metadata_is_named(net: Network, tmp_path: Path) -> None:
    for text in ("{", "3", "[1]"):
        save_file(net.state_dict(), tmp_path / "net.safetensors", metadata={"srblocks": text})
        with pytest.raises(CheckpointError, match=r"unreadable srblocks configuration"):
            load_checkpoint(tmp_path / "net.safetensors")
    save_file(net.state_dict(), tmp_path / "net.safetensors", metadata={"srblocks": '{"network": "fsrcnn"}'})
    with pytest.raises(CheckpointError, match=r"unreadable srblocks configuration"):
        load_weights(net, tmp_path / "net.safetensors")


def test_missing_files_and_directories_raise_oserrors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "missing.pth")
    with pytest.raises(IsADirectoryError):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "kind",
    [
        lambda tensor: tensor.bool(),
        lambda tensor: tensor.to(torch.complex64),
        lambda tensor: tensor.int(),
        lambda tensor: tensor.to_sparse(),
        lambda tensor: tensor.to("meta"),
        lambda tensor: tensor.to(torch.float8_e4m3fn),
    ],
)
@pytest.mark.parametrize("row", ["ESPCN Y x2", "EDSR baseline x2", "SRResNet paper x2 (no output clamp)"])
def test_tensors_of_unsupported_types_are_rejected(row: str, tmp_path: Path, kind) -> None:
    state = filled_by_name(facts("layouts.json")[row]["tensors"])
    torch.save({name: kind(tensor.float()) for name, tensor in state.items()}, tmp_path / "odd.pth")
    with pytest.raises(CheckpointError, match=r"odd.pth: \d+ tensors (have an unsupported type|hold integers)"):
        load_checkpoint(tmp_path / "odd.pth")


def test_numbers_too_large_for_the_network_are_rejected(net: Network, tmp_path: Path) -> None:
    torch.save({name: tensor.double() * 1e300 for name, tensor in net.state_dict().items()}, tmp_path / "large.pth")
    with pytest.raises(CheckpointError, match=r"contain NaN or infinity"):
        load_weights(net, tmp_path / "large.pth")
