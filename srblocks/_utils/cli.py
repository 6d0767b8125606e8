"""Shared runner of the commands: options as dataclass fields, one-line errors, exit codes. Imports no torch.

A command declares each option once, as a field ``scale: Annotated[int | None, Parameter(help="Scale factor.")] = None``
of a dataclass. `declared` turns the fields into parameters, `build_app` these into a command line, and `run_command`
runs it. A positional field of type ``tuple[..., ...]`` takes all positional words.
"""

import contextlib
import inspect
import io
import json
import sys
import textwrap
import typing
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from importlib import metadata
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Group, Parameter
from cyclopts.help import HelpPanel

from ..errors import SRBlocksError
from .console import OutputError, echo_error, session, standard_output

HELP = Group("Help", sort_key=99)
_COLUMN, _WIDTH = 26, 100


class UsageError(SRBlocksError):
    """The command line is wrong."""

    exit_code = 2


class _HelpFormatter:
    """Help in two columns of plain text, wrapped at the width of the terminal."""

    def __call__(self, console: Any, options: Any, panel: HelpPanel) -> None:
        """Print one group of options."""
        width = min(console.width, _WIDTH)
        lines = [f"{panel.title}:"]
        if panel.description:
            lines += textwrap.wrap(_text(panel.description), width, initial_indent="  ", subsequent_indent="  ")
        for entry in panel.entries:
            label = ", ".join(sorted(entry.positive_shorts)) + ", " * bool(entry.positive_shorts and entry.names)
            label += ", ".join(entry.names) or ("" if entry.shorts else str(entry.positional_label))
            label += f" {entry.metavar}" if entry.metavar and not entry.positional_label else ""
            facts = [f"choices: {', '.join(entry.choices)}"] if entry.choices else []
            facts += [f"default: {entry.default}"] if entry.default is not None else []
            facts += ["required"] if entry.required else []
            text = " ".join([_text(entry.description), *(f"[{fact}]" for fact in facts)])
            start = f"  {label}".ljust(_COLUMN)
            if len(label) + 4 > _COLUMN:
                lines.append(f"  {label}")
                start = " " * _COLUMN
            lines += textwrap.wrap(text, width, initial_indent=start, subsequent_indent=" " * _COLUMN)
        console.print("\n".join(lines) + "\n", highlight=False, markup=False, soft_wrap=True)

    def render_usage(self, console: Any, options: Any, usage: object) -> None:
        """Print the usage."""
        console.print(f"Usage: {_text(usage).strip()}\n", highlight=False, markup=False)

    def render_description(self, console: Any, options: Any, description: object) -> None:
        """Print the summary or the epilogue; paragraphs are wrapped, indented lines are kept."""
        for paragraph in _text(description).strip().split("\n\n"):
            text = paragraph if "\n  " in paragraph else textwrap.fill(paragraph, min(console.width, _WIDTH))
            console.print(text + "\n", highlight=False, markup=False, soft_wrap=True)


def _text(renderable: Any) -> str:
    """Return the text of what cyclopts prints."""
    if renderable is None or isinstance(renderable, str):
        return renderable or ""
    primary = getattr(renderable, "primary_renderable", renderable)
    return str(getattr(primary, "plain", primary))


def declared(options: type, *, positional: str = "") -> list[inspect.Parameter]:
    """Return one parameter per field of a dataclass that is ``Annotated[type, Parameter(...)]``.

    Args:
        options: the dataclass.
        positional: name of the field that takes the positional words.
    """
    hints = typing.get_type_hints(options, include_extras=True)
    parameters: list[inspect.Parameter] = []
    for field in fields(options):
        if typing.get_origin(hints[field.name]) is not Annotated:
            continue
        hint = hints[field.name]
        kind = inspect.Parameter.POSITIONAL_ONLY if field.name == positional else inspect.Parameter.KEYWORD_ONLY
        default = inspect.Parameter.empty if field.default is MISSING else field.default
        item, *more = typing.get_args(typing.get_args(hint)[0]) or (None,)
        if field.name == positional and more == [...]:
            kind, default = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.empty
            hint = Annotated[(item, *typing.get_args(hint)[1:])]  # pyright: ignore[reportInvalidTypeForm]
        elif default in (False, ()):
            hint = Annotated[hint, Parameter(show_default=False)]
        parameters.append(inspect.Parameter(field.name, kind, default=default, annotation=hint))
    return sorted(parameters, key=lambda parameter: parameter.kind)


def build_app(
    name: str, parameters: Sequence[inspect.Parameter], *, summary: str, epilogue: str, usage: str = ""
) -> App:
    """Build the command line of a command without subcommands.

    Args:
        name: name of the program.
        parameters: its options, see `declared`.
        summary: first line of the help.
        epilogue: last paragraphs of the help, with the exit codes.
        usage: first line of the help, after the name.
    """

    def command(*args: Any, **kwargs: Any) -> None:
        """Stand in for the command; its signature is that of the options."""

    command.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return App(
        name=name,
        help=summary,
        usage=f"{name} {usage}" if usage else None,
        help_epilogue="\n\n".join(" ".join(paragraph.split()) for paragraph in epilogue.split("\n\n")),
        help_format="plaintext",
        help_formatter=_HelpFormatter(),
        version=f"{name} {metadata.version('srblocks')}",
        group_commands=HELP,
        default_parameter=Parameter(allow_repeating=True),
        default_command=command,
        result_action="return_value",
    )


def flags(app: App) -> list[str]:
    """Return all flags of a command, except ``--help`` and ``--version``."""
    return [name for argument in app.assemble_argument_collection() for name in argument.names if name[0] == "-"]


def parse(app: App, tokens: Sequence[str]) -> dict[str, Any] | None:
    """Return the given options by name; None after the help or the version was printed.

    Raises:
        UsageError: the command line is wrong.
        OutputError: the help cannot be written.
    """
    try:
        command, bound, _ = app.parse_args(list(tokens), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        message = " ".join(str(error).split()).rstrip(".")
        raise UsageError(message[:1].lower() + message[1:], f"see {app.name[0]} --help") from None
    if command is not app.default_command:
        with standard_output():
            command(*bound.args, **bound.kwargs)
        return None
    return dict(bound.arguments)


def run_command(
    app: App,
    run: Callable[[dict[str, Any]], int],
    tokens: Sequence[str] | None = None,
    *,
    interrupted: str = "interrupted",
    to_error: Callable[[Exception], SRBlocksError | None] | None = None,
) -> int:
    """Parse the command line, run the command, and return the exit code.

    Expected errors end it with one line on standard error, ``<name>: <cause>; <remedy>``, and with a JSON object on
    standard output if ``--json`` is among the tokens. SIGTERM ends it like Ctrl-C.

    Args:
        app: the command line.
        run: the command; receives the given options and returns the exit code.
        tokens: the command line; None for that of the process.
        interrupted: message after Ctrl-C.
        to_error: converts exceptions; None, or a result of None, stands for `expected_error`.

    Raises:
        Exception: an unexpected exception of `run`.
    """
    words, name = list(sys.argv[1:] if tokens is None else tokens), app.name[0]
    with session():
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            values = parse(app, words)
            return 0 if values is None else run(values)
        except KeyboardInterrupt:
            echo_error(f"{name}: {interrupted}")
            return 130
        except Exception as failure:
            expected = (to_error and to_error(failure)) or expected_error(failure)
            error = expected or SRBlocksError(f"internal error, {type(failure).__name__}: {failure}")
            if expected:
                echo_error(f"{name}: {error}")
            if "--json" in words:
                with contextlib.suppress(OutputError), standard_output():
                    print(json.dumps({"exit_code": error.exit_code, "error": str(error)}))
            if not expected:
                raise
            return error.exit_code


def expected_error(failure: Exception) -> SRBlocksError | None:
    """Return the error to report for an exception; None for an unexpected one."""
    if isinstance(failure, SRBlocksError):
        choices = getattr(failure, "arguments", {})  # of a CheckpointError
        remedy = " or ".join(_flag(name, values) for name, values in choices.items())
        return SRBlocksError(failure.cause, f"use {remedy}", exit_code=failure.exit_code) if remedy else failure
    if isinstance(failure, ImportError):
        return SRBlocksError(str(failure), exit_code=4)
    from .memory import is_out_of_memory  # noqa: PLC0415 (it imports torch)

    if is_out_of_memory(failure):
        return SRBlocksError("not enough memory for the model", exit_code=9)
    if isinstance(failure, OSError):
        return SRBlocksError(f"{failure.filename} cannot be read ({failure.strerror})", exit_code=9)
    return None


def _flag(name: str, values: str) -> str:
    """Return the option that sets an argument of `load_checkpoint`."""
    return (
        f"--scale ({values})"
        if name == "scale"
        else f"--network ({values})"
        if name == "network"
        else (f"--arg {name}=VALUE ({values})")
    )
