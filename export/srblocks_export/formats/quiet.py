"""Silence third-party libraries."""

import contextlib
import io
import logging
import warnings
from collections.abc import Generator

ONNX_EXPORTER = ("torch.onnx", "onnxscript", "onnx_ir")
"""Loggers of torch's ONNX exporter."""


class _ErrorCollector(logging.Handler):
    """Collects the first line of every logged error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += record.getMessage().strip().splitlines()[:1]


@contextlib.contextmanager
def quiet(
    *loggers: str,
    level: int = logging.ERROR,
    categories: tuple[type[Warning], ...] = (Warning,),
    message: str = "",
    collect: bool = False,
) -> Generator[list[str], None, None]:
    """Suppress a library's standard output, its warnings, and log records below `level`.

    Args:
        loggers: names of its loggers.
        level: lowest level that is still logged.
        categories: categories of the suppressed warnings.
        message: regular expression of the start of the suppressed warnings; empty for all.
        collect: also suppress standard error, and collect errors instead of logging them.

    Yields:
        First lines of the errors logged so far; empty unless `collect`.
    """
    collector = _ErrorCollector()
    states = [(logger, logger.level, logger.propagate) for logger in map(logging.getLogger, loggers)]
    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        if collect:
            stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        for category in categories:
            warnings.filterwarnings("ignore", message=message, category=category)
        for logger, before, propagate in states:
            stack.callback(setattr, logger, "propagate", propagate)
            stack.callback(logger.setLevel, before)
            logger.setLevel(level)
            if collect:
                stack.callback(logger.removeHandler, collector)
                logger.addHandler(collector)
                logger.propagate = False
        yield collector.lines
