"""Checks and factors of integer scale factors."""

import numbers


def check_scale(scale: object) -> None:
    """Raise an error for a scale factor that an upsampler does not support.

    Raises:
        ValueError: `scale` is not an integer >= 2.
    """
    if isinstance(scale, bool) or not isinstance(scale, numbers.Integral) or int(scale) < 2:
        raise ValueError(f"scale must be an integer >= 2, got {scale!r}")


def prime_factors(scale: int) -> list[int]:
    """Return the steps of an upsampling by `scale`, smallest first.

    Raises:
        ValueError: `scale` is not an integer >= 2.

    Examples:
        >>> prime_factors(8), prime_factors(6)
        ([2, 2, 2], [2, 3])
    """
    check_scale(scale)
    factors: list[int] = []
    divisor = 2
    while scale > 1:
        while scale % divisor == 0:
            factors.append(divisor)
            scale //= divisor
        divisor += 1
    return factors
