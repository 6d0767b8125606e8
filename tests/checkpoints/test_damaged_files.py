"""Damaged files and files of other kinds are rejected with the cause and the remedy, and nothing is executed."""

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from helpers.hostile import Payload
from helpers.support import facts, filled_by_name
from srblocks import create_network, load_checkpoint, save_checkpoint
from srblocks.checkpoints import CheckpointError, load_weights
from srblocks.network import Network


@pytest.fixture
def net() -> Network:
    return create_network("fsrcnn", scale=3).eval()


def test_pickled_modules_are_rejected_and_never_executed(net: Network, tmp_path: Path) -> None:
    torch.save(net, tmp_path / "module.pth")
    torch.save({"head.0.weight": Payload(tmp_path / "executed")}, tmp_path / "hostile.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Payload(tmp_path / "executed"), protocol=2))
    for name in ("module.pth", "hostile.pth", "bare.pth"):
        with pytest.raises(CheckpointError, match=r"was not executed|nothing was executed"):
            load_weights(net, tmp_path / name)
    assert not (tmp_path / "executed").exists()


def test_a_published_pickled_module_is_rejected(net: Network, data: Path) -> None:
    with pytest.raises(CheckpointError, match=r"pickled Python object \(vdsr.Net\).*was not executed.*state_dict"):
        load_weights(net, data / "weights" / "vdsr_twtygqyy_model_epoch_50.pth")


def test_files_of_another_kind_are_rejected(net: Network, tmp_path: Path) -> None:
    for suffix in (".safetensors", ".pth"):
        for content in (b"", b"hello", b"PK\x03\x04rest", b"\x80\x02abc", b"\x00" * 300):
            path = tmp_path / f"file{suffix}"
            path.write_bytes(content)
            with pytest.raises(CheckpointError, match="file"):
                load_weights(net, path)


def test_truncated_files_are_rejected(net: Network, tmp_path: Path) -> None:
    save_checkpoint(net, tmp_path / "net.safetensors")
    torch.save(net.state_dict(), tmp_path / "net.pth")
    for name in ("net.safetensors", "net.pth"):
        content = (tmp_path / name).read_bytes()
        for part in (0.1, 0.5, 0.99):
            (tmp_path / name).write_bytes(content[: int(len(content) * part)])
            with pytest.raises(CheckpointError, match=name):
                load_weights(net, tmp_path / name)


def test_failed_downloads_are_reported(tmp_path: Path) -> None:
    for name, content, message in (
        ("page.pth", b"<!DOCTYPE html><html>404", r"page.pth: a web page, not a checkpoint; download the file itself"),
        ("page.safetensors", b"\n<html>Not found</html>", r"a web page"),
        ("page.mat", b"<?xml version='1.0'?><Error/>", r"a web page"),
        (
            "lfs.safetensors",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:",
            r"Git LFS pointer.*lfs pull",
        ),
        ("net.onnx", b"\x08\x08\x12\x07pytorch", r"an ONNX model, not a checkpoint"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=message):
            load_checkpoint(tmp_path / name)


def test_copies_in_text_mode_are_reported(net: Network, tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    for zipped in (True, False):
        torch.save(net.state_dict(), path, _use_new_zipfile_serialization=zipped)
        path.write_bytes(path.read_bytes().decode("utf-8", errors="replace").encode())
        with pytest.raises(CheckpointError, match=r"corrupted by a copy in text mode; copy or download it again"):
            load_checkpoint(path)


def test_torchscript_archives_are_reported(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.ReLU()), tmp_path / "net.pt")
    with pytest.raises(CheckpointError, match=r"a TorchScript model, not a checkpoint; save the module's state_dict"):
        load_checkpoint(tmp_path / "net.pt")


def test_files_without_named_tensors_are_rejected(tmp_path: Path) -> None:
    cyclic: dict[str, object] = {}
    cyclic["state_dict"] = cyclic
    for content, message in (
        ([1.0], r"expected a state dict \(name -> tensor\), got a Python list"),
        ({}, r"expected a state dict \(name -> tensor\), got an empty dict"),
        ({"epoch": 3}, "but epoch is a Python int; save only tensors"),
        ({"head.weight": torch.ones(1), "epoch": 3}, "but epoch is a Python int"),
        ({"state_dict": [torch.ones(1)]}, "but state_dict is a Python list"),
        ({3: torch.ones(1)}, "but 3 is a Python Tensor"),
        (cyclic, "but state_dict is a Python dict"),
    ):
        torch.save(content, tmp_path / "other.pth")
        with pytest.raises(CheckpointError, match=message):
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


def test_unreadable_metadata_is_rejected(net: Network, tmp_path: Path) -> None:
    for text in ("{", "3", "[1]"):
        save_file(net.state_dict(), tmp_path / "net.safetensors", metadata={"srblocks": text})
        with pytest.raises(CheckpointError, match=r"unreadable srblocks configuration"):
            load_checkpoint(tmp_path / "net.safetensors")
    save_file(net.state_dict(), tmp_path / "net.safetensors", metadata={"srblocks": '{"network": "fsrcnn"}'})
    with pytest.raises(CheckpointError, match=r"unreadable srblocks configuration"):
        load_weights(net, tmp_path / "net.safetensors")


def test_missing_files_and_directories_raise_os_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "missing.pth")
    with pytest.raises(IsADirectoryError):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("row", ["ESPCN Y x2", "EDSR baseline x2", "SRResNet paper x2 (no output clamp)"])
def test_tensors_of_unsupported_types_are_rejected(row: str, tmp_path: Path) -> None:
    state = filled_by_name(facts("layouts.json")[row]["tensors"])
    for convert in (
        lambda tensor: tensor.bool(),
        lambda tensor: tensor.to(torch.complex64),
        lambda tensor: tensor.int(),
        lambda tensor: tensor.to_sparse(),
        lambda tensor: tensor.to("meta"),
        lambda tensor: tensor.to(torch.float8_e4m3fn),
    ):
        torch.save({name: convert(tensor.float()) for name, tensor in state.items()}, tmp_path / "odd.pth")
        with pytest.raises(CheckpointError, match=r"odd.pth: \d+ tensors (have an unsupported type|hold integers)"):
            load_checkpoint(tmp_path / "odd.pth")


def test_numbers_too_large_for_the_network_are_rejected(net: Network, tmp_path: Path) -> None:
    torch.save({name: tensor.double() * 1e300 for name, tensor in net.state_dict().items()}, tmp_path / "large.pth")
    with pytest.raises(CheckpointError, match=r"contain NaN or infinity"):
        load_weights(net, tmp_path / "large.pth")
