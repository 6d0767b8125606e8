"""Options of ``srblocks-upscale``. Importing this imports no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Group, Parameter
from cyclopts.validators import Number

MODEL = Group("Model", sort_key=2)
OUTPUT = Group("Output", sort_key=3)
RUN = Group("Run", sort_key=4)

Scale = Annotated[
    int | None, Parameter(group=MODEL, help="Scale factor (default: that of the model; the smallest one bundled).")
]
Arguments = Annotated[
    tuple[str, ...],
    Parameter(
        name="--arg",
        group=MODEL,
        negative="",
        metavar="KEY=VALUE",
        help="Constructor argument that the weights do not reveal; repeatable.",
    ),
]
IMPORT: dict[str, Any] = {
    "name": "--import",
    "negative": "",
    "metavar": "MODULE",
    "help": "Module or .py file to import first, which registers networks of your own; repeatable.",
}
Imports = Annotated[tuple[str, ...], Parameter(group=MODEL, **IMPORT)]
Device = Annotated[str, Parameter(group=MODEL, help="Torch device of a network.")]
"""Options that ``srblocks-evaluate`` has too."""


def _tile(type_: object, tokens: Any) -> int | None:
    text = tokens[0].value
    if text == "auto":
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text)):
        raise ValueError("must be auto, or the number of pixels such as 256")
    return int(text)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the command."""

    inputs: Annotated[tuple[Path, ...], Parameter(help="Images and folders of images.", required=True)]
    out: Annotated[
        Path,
        Parameter(name=["--out", "-o"], group=OUTPUT, metavar="OUT", help="Output folder, or the name of one output."),
    ]
    model: Annotated[
        str | None,
        Parameter(group=MODEL, help="Exported artifact, weights file or bundled network (default: fsrcnn)."),
    ] = None
    scale: Scale = None
    network: Annotated[
        str | None,
        Parameter(group=MODEL, metavar="NAME", help="Network of a weights file that does not reveal it."),
    ] = None
    arguments: Arguments = ()
    device: Device = "cpu"
    imports: Imports = ()
    tile: Annotated[
        int | None,
        Parameter(
            group=MODEL, converter=_tile, n_tokens=1, metavar="auto|N", help="Tile size in pixels (default: auto)."
        ),
    ] = None
    format: Annotated[
        Literal["png", "jpg", "webp", "tif"] | None,
        Parameter(group=OUTPUT, help="Format of all outputs (default: that of each input)."),
    ] = None
    quality: Annotated[
        int | None,
        Parameter(group=OUTPUT, validator=Number(gte=1, lte=100), metavar="1..100", help="Quality of JPEG and WebP."),
    ] = None
    resume: Annotated[
        bool, Parameter(group=OUTPUT, negative="", help="Skip outputs that are not older than their inputs.")
    ] = False
    force: Annotated[bool, Parameter(group=OUTPUT, negative="", help="Overwrite existing outputs.")] = False
    as_json: Annotated[
        bool, Parameter(name="--json", group=RUN, negative="", help="Report as JSON on standard output.")
    ] = False
    quiet: Annotated[
        bool,
        Parameter(
            name=["--quiet", "-q"], group=RUN, negative="", help="Errors only: no progress bar, warnings or summary."
        ),
    ] = False
