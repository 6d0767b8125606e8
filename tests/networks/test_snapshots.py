"""Every network compared with its spec and its snapshot: state-dict keys, parameters, multiply-accumulates and sizes.

After an intended change: pytest tests/networks/test_snapshots.py --update-snapshots
"""

import pytest

from helpers.snapshots import FOLDER, network_snapshot, on_meta, read_snapshot, write_snapshot
from srblocks.networks import list_networks
from srblocks.registry import NetworkSpec


def test_network_matches_its_spec_and_snapshot(spec: NetworkSpec, request: pytest.FixtureRequest) -> None:
    networks = {scale: on_meta(spec.name, scale=scale) for scale in spec.scales}
    for scale, net in networks.items():
        sizes = spec.size_requirements[scale]
        assert (net.scale, net.min_size, net.size_multiple) == (scale, sizes.min_size, sizes.size_multiple)
        assert (net.framework, net.image_channels, net.color) == (spec.framework, spec.image_channels, spec.color)
        assert net.config.get("value_range", 1.0) == spec.value_range
    assert bool(spec.framework_note) == (spec.framework == "other")
    snapshot = network_snapshot(spec, networks)
    if request.config.getoption("--update-snapshots"):
        write_snapshot(spec.name, snapshot)
        read_snapshot.cache_clear()
    assert (FOLDER / f"{spec.name}.json").is_file(), "no snapshot yet: run this test with --update-snapshots"
    assert snapshot == read_snapshot(spec.name), "after an intended change, run this test with --update-snapshots"


def test_every_snapshot_belongs_to_a_network() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(list_networks())
