"""`srblocks-export`: export a network to verified artifacts. Options are parsed before torch is imported.

Most options are the fields of `ExportConfig` (config.py); those of engine builds are the fields of `BuildOptions`.
"""

import contextlib
import inspect
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

from cyclopts import App, Parameter

from srblocks._utils import cli
from srblocks._utils.console import OutputError
from srblocks.errors import SRBlocksError
from srblocks.inference.options import IMPORT

from .config import ENGINES, FORMAT, NETWORK, RUN, ExportConfig
from .errors import ExportError, internal_error
from .formats import FORMATS
from .formats.tensorrt.trt_engine import BuildOptions

if TYPE_CHECKING:
    from srblocks.network import Network

EPILOG = (
    "exit codes: 0 ok, 1 internal error, 2 usage, unknown network, wrong shape or scale, 3 output exists or cannot be "
    "written, 4 backend or device missing, 5 graph not exportable, 6 verification failed, 7 build failed, 8 artifact "
    "does not fit this host, 9 bad input file, 130 interrupted. "
    "--check-env and --dry-run: 0, or the code that the export would return before any build."
)


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """The network to export."""

    model: Annotated[
        str | None,
        Parameter(
            group=NETWORK,
            help="Network name, or a weights file of a known network (default: the weights' network, or FSRCNN).",
        ),
    ] = None
    scale: Annotated[
        int | None,
        Parameter(group=NETWORK, help="Scale factor (default: that of the weights, or the network's smallest)."),
    ] = None
    weights: Annotated[
        Path | None,
        Parameter(
            group=NETWORK,
            metavar="FILE",
            help="Weights of srblocks or of a third-party checkpoint: safetensors, a torch state dict, or .mat.",
        ),
    ] = None
    color: Annotated[
        Literal["rgb", "y"] | None,
        Parameter(
            group=NETWORK,
            help="Images of the artifact; rgb adds color conversions to a network on luma (default: network's own).",
        ),
    ] = None
    arguments: Annotated[
        tuple[str, ...],
        Parameter(
            name="--arg",
            group=NETWORK,
            negative="",
            metavar="KEY=VALUE",
            help="Constructor argument of the network; repeatable.",
        ),
    ] = ()
    imports: Annotated[tuple[str, ...], Parameter(group=NETWORK, **IMPORT)] = ()


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Actions and output of the command."""

    all_formats: Annotated[
        bool, Parameter(name="--all", group=FORMAT, negative="", help="Every format that can be built here.")
    ] = False
    dry_run: Annotated[bool, Parameter(group=RUN, negative="", help="Show what would be written, and stop.")] = False
    check_env: Annotated[bool, Parameter(group=RUN, negative="", help="Show what can be built here, and stop.")] = False
    list_networks: Annotated[
        bool, Parameter(name="--list", group=RUN, negative="", help="List the networks, and stop.")
    ] = False
    as_json: Annotated[
        bool,
        Parameter(name="--json", group=RUN, negative="", help="JSON on standard output, all else on standard error."),
    ] = False
    verbose: Annotated[
        bool, Parameter(name=["--verbose", "-v"], group=RUN, negative="", help="Tracebacks of internal errors.")
    ] = False
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], group=RUN, negative="", help="No progress, no table.")] = (
        False
    )


def build_app() -> App:
    """Build the command line: the fields of the option classes, a flag per format, and the options of engine builds."""
    formats = (_flag(name, f"{each.summary}.", group=FORMAT) for name, each in FORMATS.items())
    parameters = [
        *cli.declared(ModelOptions, positional="model"),
        *cli.declared(ExportConfig),
        *formats,
        *map(_engine_flag, fields(BuildOptions)),
        *cli.declared(RunOptions),
    ]
    summary = "Export a super-resolution network and verify every artifact in a fresh process."
    return cli.build_app("srblocks-export", parameters, summary=summary, epilogue=EPILOG)


def _flag(
    name: str, text: str, kind: Any = bool, default: Any = False, *, field: str = "", **options: Any
) -> inspect.Parameter:
    if kind is bool:
        options |= {"negative": "", "show_default": False}
    annotation = Annotated[kind, Parameter(name=f"--{name}", help=text, **options)]
    field = field or name.replace("-", "_")
    return inspect.Parameter(field, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _engine_flag(field: "Field[Any]") -> inspect.Parameter:
    """Return the parameter of an option of engine builds, which is declared without a CLI library."""
    facts = dict(field.metadata)
    kind: Any = bool if field.default is False else str
    options: dict[str, Any] = {key: facts[key] for key in ("metavar",) if key in facts}
    if "choices" in facts:
        kind = Literal[tuple(facts["choices"])]
    elif "type" in facts:
        parse = facts["type"]
        kind = get_type_hints(parse)["return"]

        def convert(type_: object, tokens: Any) -> Any:
            return parse(tokens[0].value)

        options |= {"converter": convert, "n_tokens": 1, "negative": "", "show_default": bool(field.default)}
    kind = kind | None if field.default is None else kind
    name = facts["flag"].removeprefix("--")
    return _flag(name, facts["help"], kind, field.default, field=field.name, group=ENGINES, **options)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    return cli.run_command(
        build_app(),
        lambda options: _run(options, tokens),
        tokens,
        interrupted="interrupted; finished artifacts were kept, no others were started",
        to_error=_numbered,
    )


def _numbered(failure: Exception) -> ExportError:
    """Return the numbered error to report for an exception."""
    if isinstance(failure, ExportError):
        return failure
    if isinstance(failure, cli.UsageError):
        return ExportError(200, failure.cause, failure.remedy)
    if isinstance(failure, OutputError):
        return ExportError(302, failure.cause, failure.remedy or "free some space, or redirect it")
    return internal_error(failure)


def _run(options: dict[str, Any], tokens: Sequence[str]) -> int:
    run = RunOptions(**_given(RunOptions, options))
    flags = {f"--{name}": name for name in FORMATS if options.get(name.replace("-", "_"))}
    chosen = [flags[token] for token in dict.fromkeys(tokens) if token in flags]  # reported in the order given
    if run.verbose:
        logging.basicConfig(level=logging.WARNING)
        logging.getLogger("srblocks_export").setLevel(logging.DEBUG)
    if run.check_env:
        from .environment import check_environment

        return check_environment(chosen, as_json=run.as_json)
    if run.list_networks:
        from .environment import list_networks

        return list_networks(as_json=run.as_json)
    if run.all_formats:
        able = [each for each in FORMATS.values() if options.get("precision", "fp32") in each.precisions]
        chosen = [each.name for each in able if not each.missing(device=options.get("device", "cpu"))]
    engine = BuildOptions(**_given(BuildOptions, options))
    config = ExportConfig(
        formats=tuple(chosen) if chosen or run.all_formats else ("onnx",),
        engine=engine,
        **_given(ExportConfig, options),
    )
    return _export(ModelOptions(**_given(ModelOptions, options)), config, run)


def _given(options: type, values: dict[str, Any]) -> dict[str, Any]:
    return {field.name: values[field.name] for field in fields(options) if field.name in values}


def _open(options: ModelOptions, seed: int) -> tuple["Network", list[str]]:
    """Open the network; errors get a number.

    Raises:
        ExportError: E201 unknown network, E205 wrong scale, E206 wrong or missing argument, E401 missing library, E901
            invalid weights file, E902 unreadable weights file.
    """
    from srblocks.checkpoints import MissingArgumentError, WrongScaleError
    from srblocks.inference.open_model import ModelSource, open_network
    from srblocks.registry import UnknownNetworkError

    try:
        return open_network(ModelSource(**vars(options), seed=seed))
    except UnknownNetworkError as error:
        raise ExportError(201, error.cause, error.remedy) from None
    except WrongScaleError as error:
        raise ExportError(205, error.cause, error.remedy) from error
    except MissingArgumentError as error:
        raise ExportError(206, error.cause, "use --scale, or --arg NAME=VALUE") from error
    except SRBlocksError as error:
        number = {2: 206, 4: 401, 9: 901}.get(error.exit_code, 100 * error.exit_code)
        raise ExportError(number, error.cause, error.remedy) from error
    except OSError as error:
        cause = f"{error.filename} cannot be read ({error.strerror})"
        raise ExportError(902, cause, "use the path of a weights file") from error


def _export(model: ModelOptions, config: ExportConfig, run: RunOptions) -> int:
    """Export, or show what an export would do; return the exit code."""
    from rich.console import Console

    from . import report
    from .export import export_network, plan_export

    console = Console(stderr=run.as_json, quiet=run.quiet, highlight=False)
    if not console.is_terminal:
        console.width = 120
    if run.dry_run:
        net, warnings = _open(model, config.seed)
        return report.show_plan(net, plan_export(net, config), config, warnings, as_json=run.as_json)
    with console.status("network") if console.is_terminal else contextlib.nullcontext() as status:
        net, warnings = _open(model, config.seed)
        progress: Callable[[str], None] = status.update if status else lambda step: None
        reports = export_network(net, config, progress=progress, warnings=warnings)
    return report.show(reports, warnings, console, as_json=run.as_json)


if __name__ == "__main__":
    sys.exit(main())
