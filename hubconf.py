"""Entry points of ``torch.hub``: every network of the registry, under its name."""

from srblocks.integrations.factories import factory as _factory
from srblocks.networks import network_specs as _network_specs

dependencies = ["torch", "einops", "numpy", "safetensors"]

globals().update({spec.name: _factory(spec, spec.name) for spec in _network_specs()})
