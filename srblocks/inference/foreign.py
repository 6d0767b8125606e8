"""Networks that srblocks does not have: modules that a user imports, and checkpoints that spandrel knows."""

import importlib
import importlib.util
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..adapter import as_network
from ..checkpoints import CheckpointError
from ..checkpoints.containers import read_contents
from ..checkpoints.errors import UnknownLayoutError
from ..errors import ArgumentError
from ..network import Network


def import_modules(names: Iterable[str]) -> None:
    """Import modules of the user, which register their networks.

    Args:
        names: names of modules, also in the working directory, or paths of ``.py`` files. Those that were imported
            before are skipped.

    Raises:
        ArgumentError: there is no such module, or it raises an error.
    """
    for name in names:
        path = Path(name)
        try:
            if path.suffix == ".py":
                _import_file(path)
            else:
                _import_name(name)
        except (Exception, SystemExit) as error:  # a user's module may raise anything
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ArgumentError(
                f"cannot import {name}: {type(error).__name__}: {reason}", "correct --import"
            ) from error


def _import_file(path: Path) -> None:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    if path.stem in sys.modules:
        if getattr(sys.modules[path.stem], "__file__", None) in (str(path), str(path.absolute())):
            return
        raise ImportError(f"a module named {path.stem} is imported already; rename the file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[path.stem]
        raise


def _import_name(name: str) -> None:
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        importlib.import_module(name)
    finally:
        if added:
            sys.path.remove(here)


def from_spandrel(path: Path, unknown: UnknownLayoutError) -> Network:
    """Build the network of a checkpoint with spandrel, which knows many architectures that srblocks lacks.

    Args:
        path: the weights file; it is read as by `srblocks.load_checkpoint`, so that no code of it runs.
        unknown: why srblocks cannot load it.

    Raises:
        UnknownLayoutError: spandrel is not installed, or does not know the checkpoint either.
        CheckpointError: the network does not map an image to an image.
    """
    try:
        from spandrel import (  # noqa: PLC0415 (optional dependency)
            ImageModelDescriptor,
            ModelLoader,
            UnsupportedModelError,
        )
    except ImportError:
        remedy = f'{unknown.remedy}; for other architectures: pip install "srblocks[spandrel]"'
        raise UnknownLayoutError(unknown.cause, remedy) from unknown
    try:
        found: Any = ModelLoader().load_from_state_dict(dict(read_contents(path).tensors))
    except UnsupportedModelError:
        raise UnknownLayoutError(f"{unknown.cause}; spandrel does not know it either", unknown.remedy) from unknown
    except Exception as error:  # its architectures raise anything for broken tensors
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise CheckpointError(f"{path}: spandrel cannot load it ({reason})") from error
    name = re.sub(r"\W+", "", found.architecture.name)
    if not isinstance(found, ImageModelDescriptor) or found.input_channels != found.output_channels:
        raise CheckpointError(f"{path}: {name} does not map images to images with as many channels")
    sizes = found.size_requirements
    return as_network(
        found.model.eval(),
        scale=found.scale,
        image_channels=found.input_channels,
        min_size=max(1, sizes.minimum or 1),
        size_multiple=max(1, sizes.multiple_of or 1),
        name=name,
    )
