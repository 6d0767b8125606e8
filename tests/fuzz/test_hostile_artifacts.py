"""Damaged artifacts and tampered manifests run correctly or are rejected; no code is executed."""

import copy
import io
import json
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.hostile import LR, assert_rejected, changed, damaged, records_of, zipped
from helpers.support import PORTABLE, cases, filled
from srblocks import create_network
from srblocks.errors import SRBlocksError
from srblocks.inference import from_artifact
from srblocks_export import runtime
from srblocks_export.config import ExportConfig
from srblocks_export.errors import ExportError, InputError
from srblocks_export.export import export_network


def assert_rejected_or_valid(path: Path) -> None:
    try:
        sr = runtime.load(path)(LR)
    except InputError as error:  # the manifest may declare other input sizes
        assert error.exit_code == 2
    except ExportError as error:
        assert error.exit_code == 9
        assert "\n" not in str(error)
        assert len(str(error)) < 800
    else:
        assert sr.shape[:2] == (1, 1)
        assert sr.shape[2] % 5 == sr.shape[3] % 6 == 0


@pytest.mark.parametrize("kind", ["torchscript", "pt2"])
@cases(15)
@given(data=st.data())
def test_corrupted_archive_records_are_detected(
    good: dict[str, Path], tmp_path: Path, tally: Counter[str], kind: str, data: st.DataObject
) -> None:
    tally["damaged files"] += 1
    path, content = tmp_path / good[kind].name, good[kind].read_bytes()
    records = records_of(good[kind])
    name = data.draw(st.sampled_from([each for each in sorted(records) if len(records[each]) > 8]))
    start = content.index(records[name]) + data.draw(st.integers(0, len(records[name]) - 1))
    path.write_bytes(content[:start] + bytes([content[start] ^ 1]) + content[start + 1 :])
    assert_rejected(path)


@pytest.mark.parametrize("kind", PORTABLE)
@cases(30)
@given(data=st.data())
def test_damaged_artifacts_run_or_are_rejected(
    good: dict[str, Path], tmp_path: Path, tally: Counter[str], kind: str, data: st.DataObject
) -> None:
    tally["damaged files"] += 1
    path = tmp_path / good[kind].name
    if kind == "onnx" or data.draw(st.booleans()):
        path.write_bytes(data.draw(damaged(good[kind].read_bytes())))
    else:
        records = records_of(good[kind])
        name = data.draw(st.sampled_from(sorted(records)))
        path.write_bytes(zipped(records | {name: data.draw(damaged(records[name]))}))
    assert_rejected_or_valid(path)


def with_manifest(source: Path, manifest: Any, path: Path) -> None:
    if source.suffix == ".onnx":
        model = onnx.load(source)
        model.metadata_props[0].value = json.dumps(manifest)
        onnx.save(model, path)
    else:
        records = records_of(source)
        (name,) = (each for each in records if each.endswith("/srblocks.json"))
        path.write_bytes(zipped(records | {name: json.dumps(manifest).encode()}))


@cases(40)
@given(data=st.data())
def test_tampered_manifests_are_valid_or_rejected(
    good: dict[str, Path], tmp_path: Path, tally: Counter[str], data: st.DataObject
) -> None:
    """The runtime and the upscaler both read the manifest."""
    tally["tampered manifests"] += 1
    path = tmp_path / "tampered.onnx"
    with_manifest(good["onnx"], data.draw(changed(runtime.load(good["onnx"]).manifest.to_dict())), path)
    assert_rejected_or_valid(path)
    try:
        upscaler = from_artifact(path)
    except SRBlocksError as error:
        assert error.exit_code in (2, 9)
        return
    channels = 1 if upscaler.color == "y" else 3
    try:
        upscaled = upscaler(np.zeros((5, 6, channels)))
    except (ExportError, ValueError) as error:
        assert "\n" not in str(error)
    else:
        assert upscaled.shape == (5 * upscaler.scale, 6 * upscaler.scale, channels)


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "its manifest says x3": lambda manifest: manifest["model"].update(scale=3),
    "scale=True": lambda manifest: manifest["model"].update(scale=True),
    "scale=inf": lambda manifest: manifest["model"].update(scale=float("inf")),
    "scale=1000000": lambda manifest: manifest["model"].update(scale=10**6),
    "the smallest input has": lambda manifest: manifest["io"]["input"].update(min=[2**30, 1, 2, 2]),
    "inconsistent ranges: shape 4x1x1x1: batch 4": lambda manifest: manifest["io"]["input"].update(
        min=[4, 1, 1, 1], max=[2, 1, None, None]
    ),
    "is not a multiple of 7": lambda manifest: manifest["io"]["input"].update(size_multiple=7),
    "ranges must be four positive integers each": lambda manifest: manifest["io"]["input"].update(
        min=[1, 1, 1, 10**30]
    ),
}


def test_manifest_is_validated(good: dict[str, Path], tmp_path: Path) -> None:
    original = {kind: runtime.load(good[kind]).manifest.to_dict() for kind in PORTABLE}
    for number, (message, change) in enumerate(CHANGES.items()):
        for kind in PORTABLE if number == 0 else ("onnx",):
            manifest = copy.deepcopy(original[kind])
            change(manifest)
            path = tmp_path / good[kind].name
            with_manifest(good[kind], manifest, path)
            assert_rejected(path, message)


def test_manifest_of_another_network_is_detected(good: dict[str, Path], tmp_path: Path) -> None:
    request = ExportConfig(formats=("torchscript",), out=tmp_path, verify="off", name="other")
    export_network(filled(create_network("edsr_baseline", scale=4, depth=1, width=8)), request)
    manifest = runtime.load(tmp_path / "other.ts").manifest.to_dict()
    for kind in PORTABLE:
        path = tmp_path / good[kind].name
        with_manifest(good[kind], manifest, path)
        with pytest.raises(ExportError, match=rf"E901 .*{path.name} (fails on 1x3x5x6|returns 1x1x10x12 for 1x3x5x6)"):
            runtime.load(path)(np.zeros((1, 3, 5, 6), np.float32))


def test_upscaler_does_not_build_the_network_of_the_manifest(good: dict[str, Path], tmp_path: Path) -> None:
    manifest = runtime.load(good["onnx"]).manifest.to_dict()
    manifest["model"] |= {"name": "rcan", "config": {"scale": 2, "groups": 10_000, "blocks_per_group": 10_000}}
    with_manifest(good["onnx"], manifest, tmp_path / "deep.onnx")
    assert from_artifact(tmp_path / "deep.onnx").scale == 2


@pytest.mark.parametrize("kind", ["torchscript", "pt2"])
def test_compressed_or_duplicate_records_are_rejected(good: dict[str, Path], tmp_path: Path, kind: str) -> None:
    path, records = tmp_path / good[kind].name, records_of(good[kind])
    path.write_bytes(zipped(records, zipfile.ZIP_DEFLATED))
    assert_rejected(path, "duplicate or compressed")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        for name, content in [*records.items(), *records.items()]:
            archive.writestr(zipfile.ZipInfo(name), content)
    path.write_bytes(buffer.getvalue())
    assert_rejected(path, "duplicate or compressed")
