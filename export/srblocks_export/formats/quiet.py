"""Libraries that are used without what they say on the way."""

import contextlib
import io
import logging
import warnings
from collections.abc import Generator, Sequence

ONNX_EXPORTER = ("torch.onnx", "onnxscript", "onnx_ir")
"""The loggers of torch's ONNX exporter."""


@contextlib.contextmanager
def quiet(
    *loggers: str, level: int = logging.ERROR, ignored: Sequence[type[Warning]] = (Warning,)
) -> Generator[None, None, None]:
    """Leave out what a library prints, what its loggers say below `level`, and its warnings of these categories."""
    levels = {logger: logger.level for logger in map(logging.getLogger, loggers)}
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        for category in ignored:
            warnings.simplefilter("ignore", category)
        for logger in levels:
            logger.setLevel(level)
        try:
            yield
        finally:
            for logger, before in levels.items():
                logger.setLevel(before)
