"""Comparison of outputs with references; imports no torch."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from srblocks.metrics import decibels

from ..manifest import CaseInfo

_IMAGE_SPREAD = 0.25
"""Largest standard deviation of images in [0, 1] that `min_psnr` is meant for."""


def compare(sr: Any, reference: Any, spread: float) -> CaseInfo:
    """Measure one output; the error is relative to `spread`, the PSNR is for a peak of 1."""
    shape = list(reference.shape)
    if sr.shape != reference.shape:
        return CaseInfo(shape, problem=f"output is {sr.shape} instead of {reference.shape}")
    if sr.dtype != np.float32:
        return CaseInfo(shape, problem=f"output is {sr.dtype} instead of float32")
    if not np.isfinite(sr).all():
        return CaseInfo(shape, problem=f"{int((~np.isfinite(sr)).sum())} values are NaN or infinite")
    difference = sr.astype(np.float64) - reference
    mean_square = float((difference**2).mean())
    psnr = decibels(mean_square) if mean_square else None
    return CaseInfo(shape, float(np.abs(difference).max()) / spread, psnr)


def judge(case: CaseInfo, *, spread: float, tolerance: float, min_psnr: float) -> CaseInfo:
    """Return the case with a problem if a limit is exceeded.

    Args:
        case: the measurements.
        spread: standard deviation of the reference outputs.
        tolerance: largest allowed relative error.
        min_psnr: smallest allowed PSNR in dB for images in [0, 1]; 0 for none. Outputs with a standard deviation
            above 0.25, as of random weights, are compared at a peak of four standard deviations.
    """
    if case.problem:
        return case
    shift = 20 * math.log10(max(1.0, spread / _IMAGE_SPREAD))
    least = min_psnr - shift
    if case.max_error is None or not case.max_error <= tolerance:
        error = "unknown" if case.max_error is None else f"{case.max_error:.1e}"
        return replace(case, problem=f"error {error} of the output's standard deviation is above {tolerance:.1e}")
    if case.psnr_db is not None and min_psnr and case.psnr_db < least:
        reason = f" ({min_psnr:g} dB less {shift:.1f} dB, because the outputs exceed [0, 1])" if shift else ""
        return replace(case, problem=f"PSNR of {case.psnr_db:.1f} dB is below {least:.1f} dB{reason}")
    return case
