"""Command-line flags of `BuildOptions`, from the metadata of its fields."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any, Callable

from .build import BuildOptions


def add_build_options(parser: Any) -> None:
    """Add the flags to an `argparse` parser."""
    for field in fields(BuildOptions):
        facts = dict(field.metadata)
        flag, parse = facts.pop("flag"), facts.pop("parse", None)
        options: dict[str, Any] = {"dest": field.name, "default": field.default, **facts}
        if field.default is False:
            options["action"] = "store_true"
        elif parse:
            options["type"] = _argument(parse)
        parser.add_argument(flag, **options)


def build_options(args: argparse.Namespace) -> BuildOptions:
    """Return the options that were parsed."""
    return BuildOptions(**{field.name: getattr(args, field.name) for field in fields(BuildOptions)})


def _argument(parse: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return `parse` with its own error messages on the command line."""

    def parsed(text: str) -> Any:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parsed
