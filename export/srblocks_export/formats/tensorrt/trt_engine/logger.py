"""A logger for TensorRT that keeps messages instead of printing them."""

from __future__ import annotations

import functools
import re
from typing import Any

_LONGEST = 500
_ECHO = ("[checkMacros.cpp", "[runner.cpp")
"""Starts of messages that only repeat another one, or tell of the missing GPU of a build ahead of time."""
_ERROR = re.compile(r"^\w+::\w+: Error Code \d+: [\w ]+ \((.*)\)$", re.DOTALL)
_SOURCE = re.compile(r"\[[\w.]+\.cpp:+\d+: \w+\] |\s*\bIn \S+ at /\S+\.cpp:\d+")
"""Names of functions and source files in messages."""
_MEMORY = re.compile(r"Total (Activation|Weights) Memory: (\d+)")


@functools.cache
def library_logger(trt: Any) -> Any:
    """Return the logger of a library, which is silent; a second one in the same process would be ignored.

    Its attributes cover the time since `forget` was called: `errors` and `warnings` are lists of messages, `reason` is
    the first error, or else the last warning, and `memory` is the device memory in bytes that a finished engine needs
    according to the log of its build; None if it is unknown.

    Args:
        trt: the module of a library.
    """

    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.forget()

        def forget(self) -> None:
            self.errors: list[str] = []
            self.warnings: list[str] = []
            self._memory: dict[str, int] = {}

        @property
        def reason(self) -> str:
            return (self.errors[:1] or self.warnings[-1:] or ["no reason given"])[0]

        @property
        def memory(self) -> int | None:
            return sum(self._memory.values()) or None

        def log(self, severity: Any, message: str) -> None:
            level, text = int(severity), readable(str(message))[:_LONGEST]
            if level <= int(trt.ILogger.Severity.WARNING):
                kept = self.errors if level <= int(trt.ILogger.Severity.ERROR) else self.warnings
                if not text.startswith(_ECHO) and text not in kept:
                    kept.append(text)
            elif level == int(trt.ILogger.Severity.INFO) and (found := _MEMORY.match(text)):
                self._memory[found[1]] = int(found[2])

    return Logger()


def readable(message: str) -> str:
    """Return a message of the library without the functions and source files that it comes from."""
    return _SOURCE.sub("", _ERROR.sub(r"\1", message.strip())).strip()
