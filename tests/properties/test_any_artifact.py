"""A loaded artifact is the network, for images of any legal size, batch, layout and type; others are refused."""

from collections import Counter

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
"""Of float32, relative to the output's standard deviation."""


@pytest.fixture(scope="module", params=[(name, row) for name in NETWORKS for row in PORTABLE], ids="-".join)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Network, Artifact]:
    """Return a network and its loaded artifact."""
    name, format_name = request.param
    torch.manual_seed(0)
    net = NETWORKS[name]()
    config = ExportConfig(formats=(format_name,), out=tmp_path_factory.mktemp("artifact"))
    path = config.out / f"net{FORMATS[format_name].suffix}"
    write_artifact(optimize(net), path, config, reference=net)
    return net, load(path)


@cases(25)
@given(data=st.data())
@torch.inference_mode()
def test_an_artifact_is_the_network_for_images_of_any_size_batch_and_layout(
    pair: tuple[Network, Artifact], data: st.DataObject, tally: Counter[str]
) -> None:
    net, artifact = pair
    lr = data.draw(images(net, batches=(1, 4), steps=20, more=3))
    before, sr = lr.clone(), net(lr)
    kind = data.draw(st.sampled_from((*MEMORY_LAYOUTS, "NumPy", "NumPy, reversed", "double", "one image, expanded")))
    if kind in MEMORY_LAYOUTS:
        found = artifact(MEMORY_LAYOUTS[kind](lr))
    elif kind == "NumPy, reversed":
        found = torch.from_numpy(artifact(np.ascontiguousarray(lr.numpy()[..., ::-1])[..., ::-1]))
    elif kind == "NumPy":
        found = torch.from_numpy(artifact(lr.numpy()))
    elif kind == "double":
        found = artifact(lr.double())
    else:
        found, sr = artifact(lr[:1].expand(3, -1, -1, -1)), sr[:1].expand(3, -1, -1, -1)
    assert isinstance(found, Tensor)
    assert (found.dtype, found.shape) == (torch.float32, sr.shape)
    assert float((found - sr).abs().max()) <= TOLERANCE * max(float(sr.std()), 0.05)
    assert torch.equal(lr, before)
    tally["cases of properties of artifacts"] += 1


@cases(8)
@given(data=st.data())
def test_images_that_the_network_does_not_take_are_refused_in_one_line(
    pair: tuple[Network, Artifact], data: st.DataObject, tally: Counter[str]
) -> None:
    net, artifact = pair
    good = data.draw(images(net, batches=(1, 2), more=3))
    wrong = [good[0], good[None], good.repeat(1, 2, 1, 1), good[:, :, :0], good[:0], good.to(torch.uint8)]
    wrong += [good[:, :, 1:]] if net.size_multiple > 1 else []
    lr = wrong[data.draw(st.integers(0, len(wrong) - 1))]
    for given_images in (lr, lr.numpy()):
        with pytest.raises(InputError) as refused:
            artifact(given_images)
        assert "\n" not in str(refused.value)
        tally["cases of properties of artifacts"] += 1
