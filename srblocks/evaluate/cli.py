"""``srblocks-evaluate``: PSNR and SSIM of a network or artifact on images. Options are parsed without torch."""

from collections.abc import Sequence
from typing import Any

from .._utils.cli import UsageError, build_app, declared, run_command
from .options import Options

EPILOG = """\
Networks on luma are evaluated on luma that is downscaled without rounding, networks on RGB on 8-bit images; the last
line of the output states the protocol, and the results of the two are not comparable to the last digit.

exit codes: 0 ok, 1 internal error, 2 usage, unknown network or wrong scale, 3 the output cannot be written, 4 a library
or device is missing, 8 the artifact does not fit this host, 9 bad input file, 10 some images could not be evaluated,
130 interrupted.
"""

APP = build_app(
    "srblocks-evaluate",
    declared(Options, positional="network"),
    summary="PSNR and SSIM of a network or an exported artifact, as in published results.",
    usage="[NETWORK] --data DIR [OPTIONS]",
    epilogue=EPILOG,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return run_command(APP, _run, arguments)


def _run(values: dict[str, Any]) -> int:
    options = Options(**values)
    if options.artifact and (options.network or options.weights or options.arguments or options.device != "cpu"):
        raise UsageError(
            "--artifact includes network, weights and device", "remove NETWORK, --weights, --arg and --device"
        )
    if options.arguments and not options.weights:
        raise UsageError("--arg requires --weights")
    if not options.data.exists():
        raise UsageError(f"no such file or directory: {options.data}")

    from .run import run  # noqa: PLC0415 (it imports torch)

    return run(options)
