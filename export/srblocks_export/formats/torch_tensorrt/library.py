"""torch_tensorrt itself: import, and the facts that a program made with it depends on."""

import importlib
from typing import Any

import torch

from ...errors import ExportError, first_line
from ..quiet import quiet
from ..tensorrt.trt_engine import EngineError, host_facts
from . import FORMAT

METADATA = "srblocks.json"
PORTABILITY = "portability"
LOGGERS = ("torch_tensorrt", "torch_tensorrt [TensorRT Conversion Context]")
"""The library's own logger, and the one that receives TensorRT's messages."""


def import_library() -> Any:
    """Return torch_tensorrt.

    Raises:
        ExportError: E401, it is not installed or does not load.
    """
    with quiet(*LOGGERS, collect=True):
        try:
            return importlib.import_module("torch_tensorrt")
        except Exception as error:  # without TensorRT's libraries it raises a bare Exception
            cause = f"torch-trt: torch_tensorrt does not load ({first_line(error)})"
            raise ExportError(401, cause, FORMAT.remedy) from error


def library_facts(library: Any) -> dict[str, Any]:
    """Return the versions and the GPU that a program compiled here depends on.

    Raises:
        ExportError: E401, E402, TensorRT or a GPU is missing.
    """
    try:
        facts = host_facts(torch.cuda.current_device())
    except EngineError as error:
        raise ExportError(error.number, f"torch-trt: {error.cause}", error.remedy) from error
    return facts | {"torch_tensorrt": library.__version__, "torch": str(torch.__version__)}
