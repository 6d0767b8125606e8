"""Errors of inference."""

from ..errors import SRBlocksError


class UpscaleError(SRBlocksError):
    """A model cannot be opened, or images cannot be read or written; `exit_code` is that of the commands."""

    exit_code = 2


class WrongOutputError(SRBlocksError, ValueError):
    """A model returned an array of the wrong shape or type, or values that are not finite."""

    exit_code = 9


def failure_reason(error: Exception, remedy: str = "use a smaller image") -> str:
    """Return one line about why an image failed.

    Args:
        error: the exception.
        remedy: what to do if memory is short.

    Examples:
        >>> failure_reason(KeyError("name"))
        "KeyError: 'name'"
    """
    from .._utils.memory import is_out_of_memory  # noqa: PLC0415 (it imports torch)

    if is_out_of_memory(error):
        return f"not enough memory; {remedy}"
    text = str(error).strip().partition("\n")[0]
    if isinstance(error, OSError):
        return error.strerror or text
    return text if isinstance(error, (ValueError, SRBlocksError)) and text else f"{type(error).__name__}: {text}"
