"""Files written by version 0.1.0 load with the same outputs."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from helpers.support import wave_image
from srblocks import load_checkpoint, save_checkpoint
from srblocks.checkpoints import load_weights
from srblocks.checkpoints.build import build_recorded
from srblocks_export.runtime import load

FOLDER = Path(__file__).parents[1] / "data" / "v0.1.0"
OUTPUTS = json.loads((FOLDER / "outputs.json").read_text())


def expected(name: str, output: Tensor) -> Tensor:
    return torch.tensor(OUTPUTS[name]).view_as(output)


@torch.no_grad()
@pytest.mark.parametrize("name,renamed", [("edsr", {}), ("drcn", {"normalized_average": True})])
def test_checkpoints_load_with_renamed_arguments(name: str, renamed: dict[str, object], tmp_path: Path) -> None:
    path = FOLDER / f"{name}.safetensors"
    net = load_checkpoint(path)
    assert renamed.items() <= net.config.items()
    output = net(wave_image((1, net.image_channels, 5, 6)).float())
    torch.testing.assert_close(output, expected(path.name, output), rtol=0, atol=1e-6)
    other = type(net)(**net.config)
    load_weights(other, path)
    assert all(torch.equal(other.state_dict()[key], tensor) for key, tensor in net.state_dict().items())
    save_checkpoint(net, tmp_path / "again.safetensors")
    assert load_checkpoint(tmp_path / "again.safetensors").config == net.config


@pytest.mark.parametrize("suffix", [".ts", ".onnx", ".pt2"])
def test_artifacts_load(suffix: str) -> None:
    path = FOLDER / f"fsrcnn{suffix}"
    output = torch.as_tensor(load(path)(wave_image((1, 1, 5, 6)).float().numpy()))
    torch.testing.assert_close(output, expected(path.name, output), rtol=0, atol=1e-6)


def test_stored_configurations_are_translated(tmp_path: Path) -> None:
    """In manifests, and in folders for the Hugging Face Hub."""
    config = load_checkpoint(FOLDER / "drcn.safetensors").config
    old = {key.replace("normalized", "normalised"): value for key, value in config.items()}
    assert old != config
    assert build_recorded("drcn", old).config == config
    hub = pytest.importorskip("srblocks.integrations.hub")
    content = {"network": "drcn", "class": "DRCN", "config": old, "color": "y"}
    (tmp_path / "config.json").write_text(json.dumps(content))
    (tmp_path / "model.safetensors").write_bytes((FOLDER / "drcn.safetensors").read_bytes())
    assert hub.from_pretrained(tmp_path).config == config
