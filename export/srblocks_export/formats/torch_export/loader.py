"""Loading of torch.export programs, limited to operations on tensors."""

import json
import logging
from pathlib import Path

import torch
from torch import Tensor

from ..archive import pack, read_archive
from ..base import Loaded
from ..quiet import quiet
from .exporter import METADATA
from .program import check_program


def read(path: Path) -> Loaded:
    """Load a program on the device that it was exported on, provided that it only operates on tensors.

    Raises:
        ValueError, zipfile.BadZipFile: the file is damaged, or does more: torch would execute it, pickles included.
    """
    records = read_archive(path)
    check_program(records)
    extra = {METADATA: ""}
    # torch logs the traceback of unreadable files in addition to raising; torch 2.11 warns about its own buffer.
    with quiet("torch.export", level=logging.CRITICAL, message="The given buffer is not writable"):
        module = torch.export.load(pack(records), extra_files=extra).module()

    def run(lr: Tensor) -> Tensor:
        with torch.inference_mode():
            return module(lr)

    return Loaded(run, json.loads(extra[METADATA] or "{}"))
