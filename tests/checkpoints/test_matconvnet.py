"""MatConvNet files: filters are (height, width, in, out) without trailing dimensions of 1, in nested structures."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from helpers.support import filled, wave_image
from srblocks import create_network, load_checkpoint
from srblocks.checkpoints import CheckpointError, MissingArgumentError
from srblocks.network import Network
from srblocks.networks import network_name

Names = dict[str, str]


def save_mat(path: Path, content: dict[str, object]) -> None:
    from scipy.io import savemat

    savemat(path, content)


def matlab(tensor: Tensor) -> np.ndarray:
    """Return a weight as MATLAB stores it."""
    array = tensor.detach().numpy()
    if array.ndim == 1:
        return array[:, None]
    array = array.transpose(2, 3, 1, 0)
    return array[..., 0] if array.shape[-1] == 1 else array


def cells(values: list[np.ndarray]) -> np.ndarray:
    array = np.empty((1, len(values)), dtype=object)
    array[0, :] = values
    return array


def structures(rows: list[dict[str, object]]) -> np.ndarray:
    array = np.empty((1, len(rows)), dtype=[(name, object) for name in rows[0]])
    for position, row in enumerate(rows):
        array[0, position] = tuple(row.values())
    return array


def save_dagnn(path: Path, net: Network, names: Names, layers: list[str], *, as_cells: bool = False) -> None:
    """Write `net` as a DagNN structure; `names` maps our modules to theirs."""
    state = net.state_dict()
    params = [
        {"name": theirs + suffix, "value": matlab(state[f"{ours}.{leaf}"]), "learningRate": 1.0}
        for ours, theirs in names.items()
        for leaf, suffix in (("weight", "_f"), ("bias", "_b"))
        if f"{ours}.{leaf}" in state
    ]
    rows = [{"name": layer, "inputs": "x"} for layer in layers]
    array = list if as_cells else structures
    save_mat(path, {"net": {"params": array(params), "layers": array(rows), "meta": {"epoch": 9}}})


def assert_same(loaded: Network, net: Network) -> None:
    lr = wave_image((1, 1, 9, 8)).float()
    with torch.no_grad():
        assert torch.equal(loaded(lr), net(lr))


def test_vdsr_is_stored_as_cells_of_weights_and_biases(tmp_path: Path) -> None:
    net = filled(create_network("vdsr", scale=3, depth=4, width=6))
    modules = ["head.0", "body.0", "body.2", "tail"]
    state = net.state_dict()
    weights = [matlab(state[f"{module}.weight"]) for module in modules]
    biases = [matlab(state[f"{module}.bias"]) for module in modules]
    assert weights[-1].ndim == 3
    save_mat(tmp_path / "VDSR.mat", {"model": {"weight": cells(weights), "bias": cells(biases)}})
    loaded = load_checkpoint(tmp_path / "VDSR.mat", scale=3)
    assert (network_name(loaded), loaded.config["depth"], loaded.config["width"]) == ("vdsr", 4, 6)
    assert_same(loaded, net)


@pytest.mark.parametrize("scale,depth", [(2, 2), (4, 3), (8, 1)])
def test_lapsrn_levels_count_down(scale: int, depth: int, tmp_path: Path) -> None:
    net = filled(create_network("lapsrn", scale=scale, depth=depth, width=5))
    levels = scale.bit_length() - 1
    names = {"head.0": "input_conv"}
    for ours in range(levels):
        theirs = levels - ours
        names |= {f"levels.{ours}.body.{2 * i}": f"level{theirs}_conv{i + 1}" for i in range(depth)}
        names[f"levels.{ours}.upsampler.deconv"] = f"level{theirs}_upconv"
        names[f"levels.{ours}.residual"] = f"level{theirs}_residual_conv"
        names[f"levels.{ours}.image_up.deconv"] = f"level{theirs}_img_up"
    save_dagnn(tmp_path / "LapSRN.mat", net, names, ["input_conv", "level1_conv1"])
    loaded = load_checkpoint(tmp_path / "LapSRN.mat")
    assert (network_name(loaded), loaded.scale, loaded.config["depth"]) == ("lapsrn", scale, depth)
    assert_same(loaded, net)


MS_LAPSRN = {"head": "input_conv"} | {f"levels.0.body.0.convs.{i}": f"conv{i + 1}" for i in range(3)}
MS_LAPSRN |= {
    "levels.0.upsampler.deconv": "upconv",
    "levels.0.residual": "residual_conv",
    "levels.0.image_up.deconv": "img_up",
}


@pytest.mark.parametrize("as_cells", [False, True])
def test_ms_lapsrn_recursions_follow_from_layer_names(as_cells: bool, tmp_path: Path) -> None:
    net = filled(create_network("ms_lapsrn", scale=4, depth=3, width=5, recursions=2))
    layers = [f"x4SR_level{level}_R{run}_conv1" for level in (2, 1) for run in (1, 2)]
    save_dagnn(tmp_path / "MSLapSRN.mat", net, MS_LAPSRN, ["input_conv", *layers], as_cells=as_cells)
    loaded = load_checkpoint(tmp_path / "MSLapSRN.mat", scale=4)
    assert (network_name(loaded), loaded.scale, loaded.config["recursions"]) == ("ms_lapsrn", 4, 2)
    assert_same(loaded, net)
    save_dagnn(tmp_path / "bare.mat", net, MS_LAPSRN, ["input_conv"])
    with pytest.raises(MissingArgumentError, match=r"recursions \(2, 5 or 8\); pass it as an argument"):
        load_checkpoint(tmp_path / "bare.mat", scale=4)
    assert_same(load_checkpoint(tmp_path / "bare.mat", scale=4, recursions=2), net)


def test_other_contents_are_rejected(tmp_path: Path) -> None:
    save_mat(tmp_path / "image.mat", {"im": np.zeros((3, 4)), "im_b": np.zeros(2)})
    with pytest.raises(CheckpointError, match=r"image.mat: expected 'net' .* or 'model' .*, got im, im_b"):
        load_checkpoint(tmp_path / "image.mat")
    save_mat(tmp_path / "net.mat", {"net": {"params": [{"name": "conv_alpha", "value": 1.0}]}})
    with pytest.raises(
        CheckpointError, match=r"unreadable MatConvNet structure \(parameter conv_alpha ends with neither"
    ):
        load_checkpoint(tmp_path / "net.mat")
    for values in (np.ones((3, 3, 1, 2, 2)), np.ones((3, 3)) * 1j):
        save_mat(tmp_path / "net.mat", {"net": {"params": [{"name": "conv_f", "value": values}]}})
        with pytest.raises(CheckpointError, match=r"unreadable MatConvNet structure"):
            load_checkpoint(tmp_path / "net.mat")
    save_mat(tmp_path / "model.mat", {"model": np.zeros(3)})
    with pytest.raises(CheckpointError, match=r"unreadable MatConvNet structure"):
        load_checkpoint(tmp_path / "model.mat")


def test_truncated_files_and_format_7_3_are_rejected(tmp_path: Path) -> None:
    save_mat(tmp_path / "whole.mat", {"net": {"params": [{"name": "a_f", "value": np.ones((3, 3))}]}})
    content = (tmp_path / "whole.mat").read_bytes()
    (tmp_path / "half.mat").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=r"half.mat: corrupt or truncated .mat file"):
        load_checkpoint(tmp_path / "half.mat")
    for start in (b"MATLAB 7.3 MAT-file, Platform: GLNXA64", b"\x89HDF\r\n\x1a\n"):
        (tmp_path / "hdf.mat").write_bytes(start.ljust(600))
        with pytest.raises(CheckpointError, match=r"MATLAB 7.3 format; save it with -v7"):
            load_checkpoint(tmp_path / "hdf.mat")


def test_a_missing_scipy_is_reported_with_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_mat(tmp_path / "net.mat", {"net": {"params": 1}})
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(ImportError, match=r'require scipy; pip install "srblocks\[mat\]"'):
        load_checkpoint(tmp_path / "net.mat")
