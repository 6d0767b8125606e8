"""Loading of AOTInductor packages, after checking that they fit this machine."""

import contextlib
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import ExportError, first_line
from ..base import Loaded
from .package import METADATA, check_host, inspect


def read(path: Path) -> Loaded:
    """Load a package; none of its code runs before the recorded facts are found to fit this machine.

    Raises:
        ExportError: E402, built for CUDA, which is not available; E801, built for another system, CPU or GPU, or needs
            something that this machine's torch or system libraries lack.
        ValueError, zipfile.BadZipFile: the file is foreign or corrupt.
    """
    metadata, facts = inspect(path)
    check_host(path, metadata, facts)
    cuda = metadata["AOTI_DEVICE_KEY"] == "cuda"
    device = torch.device("cuda", torch.cuda.current_device()) if cuda else torch.device("cpu")
    try:
        # torch._inductor.aoti_load_package would also compile programs here, to detect the CPU.
        bindings: Any = torch._C._aoti  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
        loader = bindings.AOTIModelPackageLoader(str(path), "model", False, 1, device.index if cuda else -1)
    except Exception as error:  # the file is intact, so the libraries that it links to must differ
        cause = f"{path} was built with torch {facts['torch']}, {torch.__version__} cannot load it: {first_line(error)}"
        raise ExportError(801, cause, "export it again here with --aoti") from error
    manifest = json.loads(metadata[METADATA])
    exact = cuda and not manifest["precision"]["tf32"]

    def run(lr: Tensor) -> Tensor:
        # The code computes addresses from sizes, so that strides must be those of a fresh tensor, even for axes of
        # length 1, whose strides are otherwise arbitrary.
        lr = lr.resolve_neg().reshape(-1).view(lr.shape)
        with torch.inference_mode(), without_tf32() if exact else contextlib.nullcontext():
            return loader.boxed_run([lr])[0]

    return Loaded(run, manifest, str(device))


@contextlib.contextmanager
def without_tf32() -> Generator[None, None, None]:
    """Compute float32 exactly in CUDA's libraries; by default torch lets convolutions round to TF32."""
    cudnn: Any = torch.backends.cudnn
    libraries = (cudnn.conv, torch.backends.cuda.matmul)
    before = [library.fp32_precision for library in libraries]
    try:
        for library in libraries:
            library.fp32_precision = "ieee"
        yield
    finally:
        for library, precision in zip(libraries, before, strict=True):
            library.fp32_precision = precision
