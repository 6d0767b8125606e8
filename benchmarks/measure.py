"""Measurement of networks in backends: parity first, then interleaved timing, and the rows of a record."""

import contextlib
import copy
import ctypes
import gc
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

import cuda_timing
import environment
from backends import Backend, Configuration, Workload
from parity import Parity, parity
from srblocks.network import Network
from timing import Timing, interleave, paired_ratio, settled_clock

Key = TypeVar("Key", bound=Hashable)
Row = dict[str, Any]

ORIGINAL, OPTIMIZED = "original", "optimized"
EAGER = "eager fp32"
ROUNDS = 11
SECONDS = 1.5
"""Fast networks get more rounds until a comparison has taken this long."""
_RESET_PEAK = "5"
"""Written to /proc/self/clear_refs to reset the peak resident memory, see proc(5)."""


@dataclass(frozen=True)
class Prepared:
    """A workload that a backend has run once.

    Attributes:
        run: function that runs it.
        images: its input, on its device.
        output: output of the first run, on the CPU.
        build_seconds: time to the first output: export, compilation, loading, capture.
        artifact_bytes: size of the file that it runs; None without a file.
        memory_bytes: on the CPU the largest increase of the resident memory during a run; on a GPU the device memory,
            including weights and library workspaces. None if unknown or shared.
    """

    run: Callable[[], Tensor]
    images: Tensor
    output: Tensor
    build_seconds: float
    artifact_bytes: int | None
    memory_bytes: int | None


@dataclass(frozen=True)
class Timed:
    """Timing of one candidate.

    Attributes:
        timing: wall time on the CPU, time between events on a GPU.
        wall: wall time on a GPU.
        end_to_end: wall time on a GPU including transfers.
    """

    timing: Timing
    wall: Timing | None = None
    end_to_end: Timing | None = None


@contextlib.contextmanager
def workloads_of(
    nets: Mapping[str, Network], lr: Tensor, classes: Mapping[str, type[Workload]] | None = None, **settings: Any
) -> Generator[dict[str, Workload], None, None]:
    """Yield one workload per network, with folders that exist until the block ends.

    Args:
        nets: name -> network.
        lr: the input images.
        classes: name -> workload class; None for `Workload`.
        settings: further arguments of `Workload`.
    """
    with tempfile.TemporaryDirectory(prefix="srblocks-") as folder:
        yield {
            name: (classes[name] if classes else Workload)(net, lr, Path(folder, str(index)), **settings)
            for index, (name, net) in enumerate(nets.items())
        }


def peak_bytes(run: Callable[[], object]) -> int | None:
    """Run and return the increase of the peak resident memory; None if the system does not report it."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim:
        trim(0)
    try:
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
    except OSError:
        run()
        return None
    before = _resident("VmRSS")
    run()
    peak = _resident("VmHWM")
    return None if before is None or peak is None else max(0, peak - before)


def _resident(field: str) -> int | None:
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    kilobytes = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return 1024 * int(kilobytes[0]) if kilobytes else None


def prepare(backend: Backend, workload: Workload) -> Prepared:
    """Build a workload in a backend and run it once."""
    run_first = _first_run_on_cuda if workload.device == "cuda" else _first_run_on_cpu
    key = backend.format or "", "fp32" if backend.casts else workload.precision
    _, export_seconds = workload.exported.get(key, (None, 0.0))  # another backend may share the file
    start = time.perf_counter()
    run, output, memory, end = run_first(backend, workload)
    path, _ = workload.exported.get(key, (None, 0.0))
    size = path.stat().st_size if path else None
    return Prepared(run, workload.images, output, export_seconds + end - start, size, memory)


def _first_run_on_cpu(backend: Backend, workload: Workload) -> tuple[Callable[[], Tensor], Tensor, int | None, float]:
    run = backend.build(workload)
    outputs: list[Tensor] = []
    if backend.lazy:
        run()
    end = time.perf_counter()
    memory = peak_bytes(lambda: outputs.append(run()))
    end = end if backend.lazy else time.perf_counter()
    return run, outputs[0].float().clone(), memory, end


def _first_run_on_cuda(backend: Backend, workload: Workload) -> tuple[Callable[[], Tensor], Tensor, int | None, float]:
    before = cuda_timing.used_bytes()
    run = backend.build(workload)
    for _ in range(1 + backend.lazy):  # torch captures the compiled graph in the second run
        run()
    torch.cuda.synchronize()
    end = time.perf_counter()
    cuda_timing.used_bytes()
    output = run().float().cpu().clone()
    memory = max(0, cuda_timing.reached_bytes() - before)
    return run, output, None if backend.pooled else memory, end


def prepare_all(entries: Mapping[Key, tuple[Backend, Workload]]) -> tuple[dict[Key, Prepared], dict[Key, str]]:
    """Prepare all candidates without compiler caches; return them, and the reasons why others failed."""
    torch._dynamo.reset()
    found: dict[Key, Prepared] = {}
    failed: dict[Key, str] = {}
    for key, (backend, workload) in entries.items():
        try:
            # More compiler threads would dominate the load on a CPU.
            threads = {"compile_threads": 1} if workload.device == "cpu" else {}
            with torch._inductor.config.patch(force_disable_caches=True, **threads), warnings.catch_warnings():
                warnings.filterwarnings("ignore", "dynamo_pgo force disabled")
                found[key] = prepare(backend, workload)
        except Exception as error:  # backends raise their own types; the other candidates are still measured
            message = (str(error).strip() or "no message").splitlines()[0]
            failed[key] = f"{type(error).__name__}: {message}"
    return found, failed


def time_all(candidates: Mapping[Key, Prepared], *, device: str, rounds: int | None = None) -> dict[Key, Timed]:
    """Time all candidates in interleaved rounds; `rounds` is the minimum number."""
    runs = {key: candidate.run for key, candidate in candidates.items()}
    if device == "cpu":
        samples = interleave(runs, rounds=rounds or ROUNDS, warm_up=1, seconds=SECONDS, measure=settled_clock)
        return {key: Timed(Timing(tuple(milliseconds))) for key, milliseconds in samples.items()}
    clock = cuda_timing.Clock.new()
    rounds = rounds or cuda_timing.ROUNDS
    pairs = interleave(runs, rounds=rounds, warm_up=cuda_timing.WARM_UP, measure=clock.device_and_wall)
    with_transfers = {
        key: cuda_timing.with_transfers(one.run, one.images, one.output) for key, one in candidates.items()
    }
    end_to_end = interleave(with_transfers, rounds=rounds, warm_up=2, measure=clock.wall)
    return {
        key: Timed(
            Timing(tuple(device_ms for device_ms, _ in found)),
            Timing(tuple(wall_ms for _, wall_ms in found)),
            Timing(tuple(end_to_end[key])),
        )
        for key, found in pairs.items()
    }


def reference_output(net: Network, lr: Tensor, device: str, *, tf32: bool = False) -> Tensor:
    """Return the output of the network in float32 without TF32, on the CPU; the TF32 setting is restored."""
    torch_device = cuda_timing.DEVICE if device == "cuda" else device
    if device == "cuda":
        cuda_timing.prepare(tf32=False)
    with torch.inference_mode():
        output = copy.deepcopy(net).to(torch_device)(lr.to(torch_device)).cpu()
    if device == "cuda":
        cuda_timing.prepare(tf32=tf32)
    return output


def measure(
    nets: Mapping[str, Network],
    lr: Tensor,
    candidates: Sequence[tuple[str, str]],
    *,
    about: Mapping[str, Any],
    classes: Mapping[str, type[Workload]] | None = None,
    device: str = "cpu",
    threads: int = 1,
    rounds: int | None = None,
    tf32: bool = False,
) -> tuple[list[Row], dict[str, str]]:
    """Measure networks in backends: check parity, then time all candidates in the same rounds.

    Args:
        nets: implementation -> network; the first one, in eager float32, is the reference.
        lr: the input images.
        candidates: implementation and label of the configuration, such as ("optimized", "OpenVINO bf16").
        about: fields of every row, such as network and scale.
        classes: implementation -> workload class.
        device: cpu or cuda.
        threads: threads of every backend on the CPU.
        rounds: minimum number of rounds.
        tf32: allow TF32 for float32 on CUDA.

    Returns:
        One row per candidate with a correct output, and the reasons why the others were skipped.
    """
    reference_key = next(iter(nets)), EAGER
    load = environment.load()
    with workloads_of(nets, lr, classes, device=device, threads=threads, tf32=tf32) as workloads:
        try:
            reference = reference_output(nets[reference_key[0]], lr, device, tf32=tf32)
        except RuntimeError as error:  # out of memory
            return [], {" in ".join(reference_key): str(error).splitlines()[0]}
        entries = {}
        for name, label in dict.fromkeys([reference_key, *candidates]):
            configuration = Configuration.parse(label)
            entries[name, label] = configuration.backend, workloads[name].at(configuration.precision)
        prepared, failed = prepare_all(entries)
        skipped = {f"{name} in {label}": reason for (name, label), reason in failed.items()}
        found: dict[tuple[str, str], Parity] = {}
        for key, one in prepared.items():
            found[key] = parity(one.output, reference, Configuration.parse(key[1]).precision, tf32=tf32)
            if not found[key].ok:
                skipped[" in ".join(key)] = str(found[key])
        prepared = {key: one for key, one in prepared.items() if found[key].ok}
        if reference_key not in prepared:
            return [], skipped
        times = time_all(prepared, device=device, rounds=rounds)
    load = max(load, environment.load())
    rows = []
    for key, one in prepared.items():
        timed, eager = times[key], times[reference_key].timing
        timing, configuration = timed.timing, Configuration.parse(key[1])
        rows.append(
            {
                **about,
                "shape": list(lr.shape),
                "implementation": key[0],
                "backend": configuration.backend.name,
                "precision": configuration.precision,
                "device": device,
                "ms": timing.to_json(),
                "rounds": [round(value, 4) for value in timing.milliseconds],
                "wall_ms": timed.wall.to_json() if timed.wall else None,
                "end_to_end_ms": timed.end_to_end.to_json() if timed.end_to_end else None,
                "speedup": round(paired_ratio(eager.milliseconds, timing.milliseconds), 4),
                "noisy": timing.noisy or (device == "cpu" and load > environment.cores()),
                "load": load,
                "max_error": found[key].max_error,
                "relative_error": found[key].relative_error,
                "psnr_db": found[key].psnr_db,
                "build_seconds": round(one.build_seconds, 2),
                "artifact_bytes": one.artifact_bytes,
                "memory_bytes": one.memory_bytes,
            }
        )
    return rows, skipped


def label_of(row: Row) -> str:
    """Return backend and precision of a row."""
    return f"{row['backend']} {row['precision']}"


def size_of(row: Row) -> str:
    """Return the input size of a row as NxHxW."""
    batch, _, height, width = row["shape"]
    return f"{batch}x{height}x{width}"


def ratio_of(slow: Row, fast: Row) -> float:
    """Return the speedup of one row over another, paired by round."""
    return paired_ratio(slow["rounds"], fast["rounds"])


def by_case(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """Group rows by network with scale and input size."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((f"{row['network']} x{row['scale']}", size_of(row)), []).append(row)
    return groups
