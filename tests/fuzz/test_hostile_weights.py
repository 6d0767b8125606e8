"""Damaged, malicious and oversized weights files: each loads or is rejected in one line; nothing is executed."""

import json
import pickle
import re
import struct
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from helpers.hostile import ODD, Payload, changed, damaged, records_of, zipped
from helpers.support import cases
from srblocks import create_network, load_checkpoint, save_checkpoint
from srblocks.checkpoints import CheckpointError, load_weights
from srblocks.checkpoints.build import build_on_meta
from srblocks.checkpoints.limits import limited_construction
from srblocks.integrations.hub import from_pretrained, save_pretrained
from srblocks.network import Network
from srblocks.networks import network_specs
from srblocks.registry import NetworkSpec

KINDS = ("own.safetensors", "state.pth", "legacy.pth", "net.mat", "plain.mat")


def mat_net() -> dict[str, Any]:
    """Return a shallow VDSR in the MatConvNet layout."""
    shapes = [(3, 3, 1, 64), *[(3, 3, 64, 64)] * 2, (3, 3, 64, 1)]
    weights, biases = np.empty((1, len(shapes)), object), np.empty((1, len(shapes)), object)
    for index, shape in enumerate(shapes):
        weights[0, index] = np.zeros(shape, np.float32)
        biases[0, index] = np.zeros((shape[-1], 1), np.float32)
    return {"model": {"weight": weights, "bias": biases}}


@pytest.fixture(scope="module")
def net() -> Network:
    return create_network("fsrcnn", scale=2, depth=1).eval()


@pytest.fixture(scope="module")
def good(net: Network, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    from scipy.io import savemat

    folder = tmp_path_factory.mktemp("good")
    save_checkpoint(net, folder / "own.safetensors", as_tensor=True)
    torch.save(net.state_dict(), folder / "state.pth")
    torch.save({"epoch": 3, "model": net.state_dict()}, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    savemat(folder / "net.mat", mat_net(), do_compression=True)
    savemat(folder / "plain.mat", mat_net())
    return {name: (folder / name).read_bytes() for name in KINDS}


def assert_rejected_or_finite(path: Path, **arguments: Any) -> None:
    try:
        loaded = load_checkpoint(path, **arguments)
    except CheckpointError as error:
        assert path.name in str(error)
        assert "\n" not in str(error)
        assert len(str(error)) < 1500
    else:
        assert all(bool(tensor.isfinite().all()) for tensor in loaded.state_dict().values())


@cases(80)
@given(name=st.sampled_from(KINDS), data=st.data())
def test_damaged_files_load_or_are_rejected(
    good: dict[str, bytes], tmp_path: Path, tally: Counter[str], name: str, data: st.DataObject
) -> None:
    tally["damaged files"] += 1
    path = tmp_path / name
    path.write_bytes(data.draw(damaged(good[name])))
    known = {"network": "vdsr"} if path.suffix == ".mat" else {"network": "fsrcnn"}
    assert_rejected_or_finite(path, **known)


@cases(40)
@given(data=st.data())
def test_torch_archives_with_damaged_records_load_or_are_rejected(
    good: dict[str, bytes], tmp_path: Path, tally: Counter[str], data: st.DataObject
) -> None:
    tally["damaged files"] += 1
    path = tmp_path / "records.pth"
    path.write_bytes(good["state.pth"])
    records = records_of(path)
    name = data.draw(st.sampled_from(sorted(records)))
    records[name] = data.draw(damaged(records[name]))
    path.write_bytes(zipped(records))
    assert_rejected_or_finite(path, network="fsrcnn")


@cases(80)
@given(data=st.data())
def test_changed_safetensors_headers_load_or_are_rejected(
    good: dict[str, bytes], tmp_path: Path, tally: Counter[str], data: st.DataObject
) -> None:
    tally["damaged files"] += 1
    path, content = tmp_path / "own.safetensors", good["own.safetensors"]
    length = struct.unpack("<Q", content[:8])[0]
    header, rest = json.loads(content[8 : 8 + length]), content[8 + length :]
    if data.draw(st.booleans()):
        recorded = data.draw(changed(json.loads(header["__metadata__"]["srblocks"])))
        header["__metadata__"]["srblocks"] = json.dumps(recorded)
        del header["srblocks.config"]
        rest = rest[: max(entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__")]
    else:
        header = data.draw(changed(header))
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + rest)
    assert_rejected_or_finite(path)


@cases(30)
@given(data=st.data())
def test_changed_hub_configurations_load_or_are_rejected(
    net: Network, tmp_path: Path, tally: Counter[str], data: st.DataObject
) -> None:
    tally["damaged files"] += 1
    save_pretrained(net, tmp_path)
    described = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(data.draw(changed(described))))
    try:
        from_pretrained(tmp_path)
    except ValueError as error:  # CheckpointError or UnknownNetworkError
        assert "\n" not in str(error)


@cases(80)
@given(spec=st.sampled_from(network_specs()), value=st.sampled_from([*ODD, 64, 300]), data=st.data())
def test_unexpected_arguments_build_a_network_or_are_rejected(
    tally: Counter[str], spec: NetworkSpec, value: Any, data: st.DataObject
) -> None:
    tally["unexpected arguments"] += 1
    arguments = {**spec.arguments(), "scale": spec.default_scale, **spec.reduced}
    name = data.draw(st.sampled_from(sorted(arguments)))
    try:
        built = build_on_meta(spec.name, {**arguments, name: value})
    except (ValueError, TypeError, RuntimeError):
        return
    assert sum(1 for _ in built.modules()) < 12_000


def test_networks_with_too_many_layers_are_not_built() -> None:
    with pytest.raises(ValueError, match="more than 12000 modules and parameters"):
        build_on_meta("rcan", {"scale": 2, "groups": 10_000, "blocks_per_group": 10_000})
    with limited_construction({}):
        torch.nn.Conv2d(1, 1, 1)


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("as_archive", [True, False])
def test_malicious_pickles_are_never_executed(
    net: Network, tmp_path: Path, tally: Counter[str], wrapped: bool, as_archive: bool
) -> None:
    mark, content = tmp_path / "executed", Payload(tmp_path / "executed")
    held: Any = {"state_dict": {"head.0.weight": content}} if wrapped else content
    torch.save(held, tmp_path / "a.pth", _use_new_zipfile_serialization=as_archive)
    for protocol in range(6):
        (tmp_path / f"p{protocol}.pth").write_bytes(pickle.dumps(held, protocol=protocol))
    for path in sorted(tmp_path.glob("*.pth")):
        for name in (path, path.with_suffix(".mat"), path.with_suffix(".safetensors")):
            tally["malicious files"] += 1
            name.write_bytes(path.read_bytes())
            with pytest.raises(CheckpointError):
                load_weights(net, name)
    assert not mark.exists()


def test_decompression_bombs_are_rejected(tmp_path: Path) -> None:
    from scipy.io import savemat

    torch.save({"weight": torch.zeros(2**23)}, tmp_path / "zeros.pth")
    records = records_of(tmp_path / "zeros.pth")
    (tmp_path / "bomb.pth").write_bytes(zipped(records, zipfile.ZIP_DEFLATED))
    with pytest.raises(CheckpointError, match=r"bomb.pth: unpacks to more than 8 times its [\d,]+ bytes"):
        load_checkpoint(tmp_path / "bomb.pth")
    savemat(tmp_path / "bomb.mat", {"model": np.zeros(2**23)}, do_compression=True)
    with pytest.raises(CheckpointError, match=r"bomb.mat: unpacks to more than 8 times its [\d,]+ bytes"):
        load_checkpoint(tmp_path / "bomb.mat")


def test_archives_with_overlapping_records_are_rejected(tmp_path: Path) -> None:
    """Every directory entry points to the same 256 KiB."""
    torch.save({str(number): torch.zeros(2**16) for number in range(2)}, tmp_path / "two.pth")
    records = {
        name: b"" if name.endswith("/data/1") else held for name, held in records_of(tmp_path / "two.pth").items()
    }
    records |= {f"two/data/{number}": b"" for number in range(1, 40)}
    content = bytearray(zipped(records))
    entries = [found.start() for found in re.finditer(b"PK\x01\x02", content)]
    (first,) = (each for each in entries if content[each + 46 :].startswith(b"two/data/0"))
    for entry in entries:
        if content[entry + 46 :].startswith(b"two/data/"):
            content[entry + 16 : entry + 28] = content[first + 16 : first + 28]
            content[entry + 42 : entry + 46] = content[first + 42 : first + 46]
    (tmp_path / "overlapping.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"overlapping.pth: unpacks to more than 8 times its [\d,]+ bytes"):
        load_checkpoint(tmp_path / "overlapping.pth")


@pytest.mark.parametrize("as_archive", [True, False])
def test_pickles_that_allocate_memory_are_rejected(as_archive: bool, tmp_path: Path) -> None:
    path = tmp_path / "much.pth"
    torch.save({"weight": 0}, path)
    hostile = b"\x80\x02}X\x06\x00\x00\x00weightc__builtin__\nbytearray\n\x8a\x05\x00\x00\x00\x00\x02\x85Rs."
    records = records_of(path)
    path.write_bytes(zipped(records | {"much/data.pkl": hostile}) if as_archive else hostile)
    with pytest.raises(CheckpointError, match="contains a Python bytearray, which"):
        load_checkpoint(tmp_path / "much.pth")


def matlab_cells(depth: int) -> bytes:
    """Return a .mat file of nested cells."""

    def element(kind: int, content: bytes) -> bytes:
        return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)

    def matrix(kind: int, inner: bytes) -> bytes:
        head = element(6, struct.pack("<II", kind, 0)) + element(5, struct.pack("<ii", 1, 1)) + element(1, b"model")
        return head + inner

    inner = element(14, matrix(6, element(9, struct.pack("<d", 1.0))))
    for _ in range(depth):
        inner = element(14, matrix(1, inner))
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM" + inner


def test_deeply_nested_matlab_cells_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "deep.mat").write_bytes(matlab_cells(2_000))
    with pytest.raises(CheckpointError, match="deep.mat: contains cells nested more than 32 levels deep"):
        load_checkpoint(tmp_path / "deep.mat")


def test_impossible_shapes_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "shape.safetensors"
    for shape in ([2**40, 2**40], [2**63, 0], [2**40, 0], [-1], [1.5], "x", None, [[1]]):
        header = json.dumps({"weight": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}}).encode()
        path.write_bytes(struct.pack("<Q", len(header)) + header)
        with pytest.raises(CheckpointError, match="shape.safetensors: "):
            pytest.fail(f"{shape} loads as {load_checkpoint(path)}")


def test_expanded_views_are_rejected(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1).expand(2**20, 2**20)}, tmp_path / "view.pth")
    with pytest.raises(CheckpointError, match="is an expanded view of fewer elements"):
        load_checkpoint(tmp_path / "view.pth")


def test_too_many_tensors_are_rejected(tmp_path: Path) -> None:
    save_file({str(number): torch.zeros(0) for number in range(10_001)}, tmp_path / "many.safetensors")
    with pytest.raises(CheckpointError, match="10001 tensors exceed the limit of 10000"):
        load_checkpoint(tmp_path / "many.safetensors")


@pytest.mark.parametrize(
    "recorded", ["9" * 5000, "[" * 10**5, '{"network": "fsrcnn", "config": ' + " " * 2**20 + "{}}"]
)
def test_invalid_json_configurations_are_unreadable(recorded: str, tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(1)}, tmp_path / "odd.safetensors", metadata={"srblocks": recorded})
    with pytest.raises(CheckpointError, match="unreadable srblocks configuration"):
        load_checkpoint(tmp_path / "odd.safetensors")
