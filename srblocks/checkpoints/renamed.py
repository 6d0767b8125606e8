"""Constructor arguments that were renamed after 0.1.0."""

from collections.abc import Container, Mapping
from typing import Any

RENAMED_ARGUMENTS = {"normalised_average": "normalized_average"}
"""Name in files written by 0.1.0 -> current name."""


def current_arguments(config: Mapping[str, Any], accepted: Container[str]) -> dict[str, Any]:
    """Return a stored configuration with the current argument names.

    Args:
        config: configuration stored in a checkpoint, a Hub folder or a manifest.
        accepted: arguments of the network's constructor; names among them are kept.

    Examples:
        >>> current_arguments({"scale": 2, "normalised_average": True}, ("scale", "normalized_average"))
        {'scale': 2, 'normalized_average': True}
    """
    return {name if name in accepted else RENAMED_ARGUMENTS.get(name, name): value for name, value in config.items()}
