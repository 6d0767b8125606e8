"""Precision and memory format of a network: opt-in, unlike the rewrites, because results change."""

from .calibration import Calibration as Calibration
from .calibration import calibrate as calibrate
from .conversion import to_precision as to_precision
from .module_paths import PRECISIONS as PRECISIONS
