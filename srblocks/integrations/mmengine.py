"""mmengine integration: importing this module registers every network as ``srblocks_<network>`` in ``MODELS``.

In a config file:

    custom_imports = dict(imports=["srblocks.integrations.mmengine"], allow_failed_imports=False)
    model = dict(type="srblocks_rcan", scale=4)

Registries of libraries built on mmengine inherit these names.
"""

from ..errors import MissingLibraryError
from .registries import register

try:
    from mmengine.registry import MODELS
except ImportError as error:
    raise MissingLibraryError(
        "srblocks.integrations.mmengine requires mmengine", 'pip install "srblocks[mmengine]"'
    ) from error

register(MODELS)
