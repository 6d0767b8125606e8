"""Candidates: made ready one by one, compared, then timed in turn."""

import contextlib
import tempfile
import time
import warnings
from collections.abc import Callable, Generator, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch._inductor import config as inductor

from srblocks.network import Network

from . import cpu, cuda
from .engines import Engine, Subject
from .timing import Timing, interleave, settled_clock

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Ready:
    """A candidate that has run.

    Attributes:
        run: runs it.
        images: what it reads, on its device.
        output: of its first run, on the CPU.
        costs: what it costs beside time.
    """

    run: Callable[[], Tensor]
    images: Tensor
    output: Tensor
    costs: "Costs"


@dataclass(frozen=True)
class Costs:
    """What a candidate costs beside time.

    Attributes:
        build_seconds: until its first output: export, compilation, loading, capture.
        artifact_bytes: of the file that it runs; None for none.
        memory_bytes: on the CPU what a run adds to the resident memory at the most; on a GPU what the candidate takes
            of the device's memory, weights included, and what its libraries take with their first use. None where the
            system does not tell, or candidates share it.
    """

    build_seconds: float
    artifact_bytes: int | None
    memory_bytes: int | None


@dataclass(frozen=True)
class Timed:
    """The time of a candidate.

    Attributes:
        timing: on a GPU between events, else of the clock.
        wall: on a GPU, of the clock, until the device is done.
        end_to_end: on a GPU, of the clock, with the transfers from and to the host.
    """

    timing: Timing
    wall: Timing | None = None
    end_to_end: Timing | None = None


@contextlib.contextmanager
def subjects_of(
    nets: Mapping[str, Network], lr: Tensor, kinds: Mapping[str, type[Subject]] | None = None, **settings: Any
) -> Generator[dict[str, Subject], None, None]:
    """Give every network with the images, and a folder of its own until the block ends.

    Args:
        nets: name -> network.
        lr: the images of all.
        kinds: name -> how its files are made; None for our exports.
        settings: further arguments of `Subject`, the same for all.
    """
    with tempfile.TemporaryDirectory(prefix="srblocks-") as scratch:
        yield {
            name: (kinds[name] if kinds else Subject)(net, lr, Path(scratch, str(index)), **settings)
            for index, (name, net) in enumerate(nets.items())
        }


def ready(engine: Engine, subject: Subject) -> Ready:
    """Build a candidate, and run it."""
    measure = _ready_on_cuda if subject.device == "cuda" else _ready_on_cpu
    key = engine.format or "", "fp32" if engine.rounds else subject.precision
    _, before = subject.made.get(key, (None, 0.0))  # another engine runs the same file
    start = time.perf_counter()
    run, output, memory, first = measure(engine, subject)
    path, _ = subject.made.get(key, (None, 0.0))
    size = path.stat().st_size if path else None
    return Ready(run, subject.images, output, Costs(before + first - start, size, memory))


def _ready_on_cpu(engine: Engine, subject: Subject) -> tuple[Callable[[], Tensor], Tensor, int | None, float]:
    run = engine.build(subject)
    outputs: list[Tensor] = []
    if engine.lazy:
        run()
    first = time.perf_counter()
    memory = cpu.peak_bytes(lambda: outputs.append(run()))
    first = first if engine.lazy else time.perf_counter()
    return run, outputs[0].float().clone(), memory, first


def _ready_on_cuda(engine: Engine, subject: Subject) -> tuple[Callable[[], Tensor], Tensor, int | None, float]:
    before = cuda.used_bytes()
    run = engine.build(subject)
    for _ in range(1 + engine.lazy):  # torch captures what it has compiled in the second run
        run()
    torch.cuda.synchronize()
    first = time.perf_counter()
    cuda.used_bytes()
    output = run().float().cpu().clone()
    memory = max(0, cuda.reached_bytes() - before)
    return run, output, None if engine.pooled else memory, first


def ready_all(entries: Mapping[Key, tuple[Engine, Subject]]) -> tuple[dict[Key, Ready], dict[Key, str]]:
    """Build all, from nothing: one that cannot be built is left out, with the reason."""
    torch._dynamo.reset()
    found: dict[Key, Ready] = {}
    failed: dict[Key, str] = {}
    for key, (engine, subject) in entries.items():
        try:
            # More threads of the compiler would be most of the load on a CPU.
            threads = {"compile_threads": 1} if subject.device == "cpu" else {}
            with inductor.patch(force_disable_caches=True, **threads), warnings.catch_warnings():
                warnings.filterwarnings("ignore", "dynamo_pgo force disabled")  # as asked for
                found[key] = ready(engine, subject)
        except Exception as error:  # every engine raises its own types; the other candidates still have their figures
            message = (str(error).strip() or "no message").splitlines()[0]
            failed[key] = f"{type(error).__name__}: {message}"
    return found, failed


def timed(candidates: Mapping[Key, Ready], *, device: str, rounds: int | None = None) -> dict[Key, Timed]:
    """Time all in turn, each once a round; `rounds` is the least number of rounds."""
    runs = {key: one.run for key, one in candidates.items()}
    if device == "cpu":
        samples = interleave(runs, rounds=rounds or cpu.ROUNDS, warm_up=1, seconds=cpu.SECONDS, measure=settled_clock)
        return {key: Timed(Timing(tuple(milliseconds))) for key, milliseconds in samples.items()}
    clock = cuda.Clock.new()
    pairs = interleave(runs, rounds=rounds or cuda.ROUNDS, warm_up=cuda.WARM_UP, measure=clock.device_and_wall)
    both_ways = {key: cuda.with_transfers(one.run, one.images, one.output) for key, one in candidates.items()}
    whole = interleave(both_ways, rounds=rounds or cuda.ROUNDS, warm_up=2, measure=clock.wall)
    return {
        key: Timed(
            Timing(tuple(device for device, _ in found)),
            Timing(tuple(wall for _, wall in found)),
            Timing(tuple(whole[key])),
        )
        for key, found in pairs.items()
    }
