"""``torch.hub`` entry points: every registered network under its name."""

from srblocks.integrations.factories import factory as _factory
from srblocks.networks import network_specs as _network_specs

dependencies = ["torch", "einops", "lazy_loader", "numpy", "safetensors"]

globals().update({spec.name: _factory(spec, spec.name) for spec in _network_specs()})
