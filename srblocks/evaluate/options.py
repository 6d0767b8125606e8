"""Options of ``srblocks-evaluate``. Importing this imports no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from ..inference.options import MODEL, Arguments, Device, Imports, Scale

RUN = Group("Run", sort_key=3)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the command."""

    network: Annotated[
        str | None, Parameter(name="NETWORK", help="Network name (default: that of the weights, or fsrcnn).")
    ] = None
    data: Annotated[Path, Parameter(group=RUN, metavar="DIR", help="Folder of high-resolution images, or one image.")]
    weights: Annotated[
        Path | None, Parameter(group=MODEL, metavar="FILE", help="Weights file (default: bundled weights).")
    ] = None
    artifact: Annotated[
        Path | None, Parameter(group=MODEL, metavar="FILE", help="Artifact of srblocks-export, instead of a network.")
    ] = None
    scale: Scale = None
    arguments: Arguments = ()
    device: Device = "cpu"
    imports: Imports = ()
    as_json: Annotated[
        bool, Parameter(name="--json", group=RUN, negative="", help="Scores as JSON on standard output.")
    ] = False
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], group=RUN, negative="", help="No progress bar.")] = False
