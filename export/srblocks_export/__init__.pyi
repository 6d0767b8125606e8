from .config import ExportConfig
from .errors import ExportError, InputError
from .export import Plan, export_network, plan_export
from .manifest import Manifest
from .report import ArtifactReport
from .runtime import Artifact, can_load, load

__all__ = [
    "Artifact",
    "ArtifactReport",
    "ExportConfig",
    "ExportError",
    "InputError",
    "Manifest",
    "Plan",
    "can_load",
    "export_network",
    "load",
    "plan_export",
]
