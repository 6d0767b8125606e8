"""A loaded artifact computes the same as its network for images of any valid size, batch, layout and type."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from helpers.small_networks import MEMORY_LAYOUTS, images, small_network
from helpers.support import PORTABLE, Unshuffled, cases, write_artifact
from srblocks import load_pretrained, optimize
from srblocks.network import Network
from srblocks.networks import network_spec
from srblocks_export.config import ExportConfig
from srblocks_export.errors import InputError
from srblocks_export.formats import FORMATS
from srblocks_export.runtime import Artifact, load

NETWORKS = {
    "fsrcnn": lambda: load_pretrained("fsrcnn", scale=2),
    "edsr_baseline": lambda: small_network(network_spec("edsr_baseline"), 3).float(),
    "multiples of two": lambda: Unshuffled().eval(),
}
TOLERANCE = 2e-5
"""Maximum error in float32, relative to the output's standard deviation."""

_USUAL = {("fsrcnn", "onnx"), ("edsr_baseline", "pt2"), ("edsr_baseline", "torchscript")}
ROWS = [
    pytest.param((name, row), marks=() if name == "multiples of two" or (name, row) in _USUAL else pytest.mark.slow)
    for name, row in product(NETWORKS, PORTABLE)
]
"""Every network in some format, and one network in every format; the others are slow."""


@pytest.fixture(scope="module", params=ROWS, ids="-".join)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Artifact]:
    """Return a network and its loaded artifact."""
    name, format_name = request.param
    torch.manual_seed(0)
    net = NETWORKS[name]()
    config = ExportConfig(formats=(format_name,), out=tmp_path_factory.mktemp("artifact"))
    path = config.out / f"net{FORMATS[format_name].suffix}"
    write_artifact(optimize(net), path, config, reference=net)
    return net, load(path)


@cases(2)
@given(data=st.data())
@torch.inference_mode()
def test_artifact_matches_its_network_for_any_size_batch_and_layout(
    pair: tuple[Network, Artifact], data: st.DataObject, tally: Counter[str]
) -> None:
    net, artifact = pair
    lr = data.draw(images(net, batches=(1, 4), steps=20, more=3))
    before, sr = lr.clone(), net(lr)
    reversed_view = np.ascontiguousarray(lr.numpy()[..., ::-1])[..., ::-1]
    found = {name: (artifact(layout(lr)), sr) for name, layout in MEMORY_LAYOUTS.items()}
    found |= {
        "NumPy": (torch.from_numpy(artifact(lr.numpy())), sr),
        "NumPy, reversed": (torch.from_numpy(artifact(reversed_view)), sr),
        "double": (artifact(lr.double()), sr),
        "expanded": (artifact(lr[:1].expand(3, -1, -1, -1)), sr[:1].expand(3, -1, -1, -1)),
    }
    for name, (output, expected) in found.items():
        assert isinstance(output, Tensor), name
        assert (output.dtype, output.shape) == (torch.float32, expected.shape), name
        assert float((output - expected).abs().max()) <= TOLERANCE * max(float(expected.std()), 0.05), name
        tally["cases of properties of artifacts"] += 1
    assert torch.equal(lr, before)


@cases(1)
@given(data=st.data())
def test_invalid_images_raise_a_one_line_error(
    pair: tuple[Network, Artifact], data: st.DataObject, tally: Counter[str]
) -> None:
    net, artifact = pair
    good = data.draw(images(net, batches=(1, 2), more=3))
    wrong = [good[0], good[None], good.repeat(1, 2, 1, 1), good[:, :, :0], good[:0], good.to(torch.uint8)]
    for lr in wrong:
        for invalid in (lr, lr.numpy()):
            with pytest.raises(InputError) as error:
                artifact(invalid)
            assert "\n" not in str(error.value), lr.shape
            tally["cases of properties of artifacts"] += 1
