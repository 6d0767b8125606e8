"""Names of parameters and buffers are a promise to everyone's checkpoints; data/keys.json is the record of it.

After a change that is meant: PYTHONPATH=tests python tests/networks/test_keys.py
"""

import json

import torch

from helpers.support import FACTS
from srblocks import create_network
from srblocks.networks import network_specs
from srblocks.registry import NetworkSpec

RECORD = FACTS / "keys.json"


def keys(spec: NetworkSpec) -> dict[str, list[int]]:
    with torch.device("meta"):
        net = create_network(spec.name, **spec.reduced)
    return {name: list(tensor.shape) for name, tensor in net.state_dict().items()}


def test_names_and_shapes_are_the_recorded_ones(spec: NetworkSpec) -> None:
    assert keys(spec) == json.loads(RECORD.read_text())[spec.name]


if __name__ == "__main__":
    rows = [f' "{spec.name}": {json.dumps(keys(spec))}' for spec in network_specs()]
    RECORD.write_text("{\n" + ",\n".join(rows) + "\n}\n")
