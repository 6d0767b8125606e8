"""The networks in mmengine's ``MODELS``: importing this module registers ``srblocks_<network>``, all of them.

In a configuration:

    custom_imports = dict(imports=["srblocks.integrations.mmengine"], allow_failed_imports=False)
    model = dict(type="srblocks_rcan", scale=4)

Registries of libraries on mmengine look there as well.
"""

from .registries import register

try:
    from mmengine.registry import MODELS
except ImportError as error:
    raise ImportError('srblocks.integrations.mmengine needs mmengine; pip install "srblocks[mmengine]"') from error

register(MODELS)
