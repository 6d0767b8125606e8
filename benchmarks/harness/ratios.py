"""How long networks take, as multiples of a reference operation that runs in the same rounds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from srblocks import optimize

from . import environment
from .candidates import ready_all, subjects_of, timed
from .cases import EXACT, Case
from .comparison import check, reference_output
from .engines import ENGINES, Way
from .timing import Timing

ENGINES_TIMED = (*EXACT, "channels_last fp32")
CASES = tuple(
    Case(network, scale, 64, 64, engines=ENGINES_TIMED)
    for network, scale in (("fsrcnn", 2), ("lapsrn", 2), ("carn", 4), ("edsr_baseline", 4))
)
LIBRARIES = {"onnxruntime": "onnxruntime", "OpenVINO": "openvino"}
"""What has a version of its own beside torch, in which the reference operation runs."""
_REFERENCE = "eager fp32", "reference"


@dataclass(frozen=True)
class Relative:
    """The time of a network in an engine, and that of the reference operation in the same rounds.

    Attributes:
        timing: of the network.
        reference: of the reference operation.
        library: whose version matters beside torch's; "torch" for none.
        load: the highest load average around the rounds.
        cores: the processor's.
    """

    timing: Timing
    reference: Timing
    library: str = "torch"
    load: float = 0.0
    cores: int = 1

    @property
    def ratio(self) -> float:
        """The quickest round as a multiple of the reference operation's quickest."""
        return round(self.timing.minimum / self.reference.minimum, 4)

    @property
    def spread(self) -> float:
        """Half the distance between the quartiles of the rounds, in the same unit."""
        return round(self.timing.interquartile / self.reference.minimum / 2, 4)

    @property
    def noise(self) -> str:
        """Why the ratio is not to be relied on; empty when it is."""
        busy = [f"load {self.load} on {self.cores} cores"] if self.load > self.cores else []
        return ", ".join(busy + ["uneven"] * (self.timing.noisy or self.reference.noisy))


def machine(threads: int) -> dict[str, Any]:
    """What ratios depend on."""
    return {"cpu": environment.cpu(), "threads": threads, "versions": environment.versions()}


def chain() -> nn.Sequential:
    """The reference operation: eight 3x3 convolutions of 64 channels."""
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Conv2d(64, 64, 3, padding=1) for _ in range(8))).eval()


def measure(case: Case, *, threads: int = 1, rounds: int | None = None) -> tuple[dict[str, Relative], dict[str, str]]:
    """Time the plain and the optimized network in every engine, after their outputs were found to agree.

    Args:
        case: the network, its images, and its engines.
        threads: of every engine.
        rounds: the least number of rounds; None for the usual one.

    Returns:
        What was measured -> its time, and what cannot run here -> why. An engine that fails where it should run stops
        the measurement.
    """
    net, before = case.build(), environment.load()
    nets = {"plain": net, "optimized": optimize(net)}
    lr, reference = torch.rand(1, net.image_channels, case.height, case.width), torch.rand(1, 64, 64, 64)
    ways = [Way.named(label) for label in case.engines]
    absent = {way.label: reason for way in ways if (reason := way.missing("cpu"))}
    with (
        subjects_of(nets, lr, threads=threads) as subjects,
        subjects_of({"reference": chain()}, reference, threads=threads) as alone,
    ):
        entries = {
            (way.label, name): (way.engine, subject)
            for way in ways
            for name, subject in subjects.items()
            if way.label not in absent
        }
        entries[_REFERENCE] = ENGINES["eager"], alone["reference"]
        found, failed = ready_all(entries)
        for (label, name), reason in failed.items():
            raise SystemExit(f"check.py: {name} {case.network} in {label}: {reason}")
        outputs = {key: one.output for key, one in found.items() if key != _REFERENCE}
        check(outputs, reference_output(net, lr, "cpu"))
        times = {key: one.timing for key, one in timed(found, device="cpu", rounds=rounds).items()}
    load, cores = max(before, environment.load()), environment.cores()
    return {
        _name(case, label, name): Relative(times[label, name], times[_REFERENCE], _library(label), load, cores)
        for label, name in outputs
    }, {_name(case, label, name): reason for label, reason in absent.items() for name in nets}


def _name(case: Case, label: str, variant: str) -> str:
    return f"{case.title} x{case.scale} on {case.size}, {variant}, {label}"


def _library(label: str) -> str:
    return LIBRARIES.get(Way.named(label).engine.name, "torch")


def ratios_of(
    cases: Iterable[Case], *, threads: int = 1, rounds: int | None = None
) -> tuple[dict[str, Relative], dict[str, str]]:
    """Measure one case after the other, on memory that stays the process's."""
    torch.set_num_threads(threads)
    environment.keep_memory()
    found: dict[str, Relative] = {}
    absent: dict[str, str] = {}
    for case in cases:
        more, less = measure(case, threads=threads, rounds=rounds)
        found |= more
        absent |= less
    return found, absent


def other_machine(known: Mapping[str, Any], here: Mapping[str, Any], library: str) -> str:
    """How the machine of the baseline differs in what a ratio depends on; empty when it does not."""
    pairs = [
        ("processor", known["cpu"]["name"], here["cpu"]["name"]),
        ("flags", " ".join(known["cpu"]["flags"]), " ".join(here["cpu"]["flags"])),
        ("threads", known["threads"], here["threads"]),
    ]
    pairs += [(name, known["versions"].get(name), here["versions"].get(name)) for name in sorted({"torch", library})]
    return ", ".join(f"{what} {now} here, {then} in the baseline" for what, then, now in pairs if then != now)
