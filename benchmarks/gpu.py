"""Run everything that needs a GPU, in calls of a few minutes, and record the results.

    python benchmarks/gpu.py --dry-run                        # the steps, what is missing, and how long they take
    python benchmarks/gpu.py --tensorrt86 FOLDER              # again and again, until no step is left
    python benchmarks/gpu.py --device cpu --json gpu-cpu.json # the steps that a CPU can run, to try the kit

Each step is a process with a time limit. Its result is written when it ends, so a call that is killed loses one step at
most; a later call skips finished steps. No step starts that does not fit into the remaining time.
"""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import options
from cases import CUDA_CASES
from record import Record, result_path
from srblocks_export.formats import FORMATS

HERE = Path(__file__).parent
REPOSITORY = HERE.parent
ENGINES = HERE.parent / "export/srblocks_export/formats/tensorrt"
NETWORKS = ("fsrcnn", "espcn", "edsr_baseline", "lapsrn", "carn_m")
"""Networks whose engines of TensorRT 8.6 are built and compared."""
TAIL = 2000
"""Characters of a step's output that are kept."""


@dataclass(frozen=True)
class Step:
    """One process, or several in a row.

    Attributes:
        name: name in the results and for ``--only``.
        commands: command lines; "{python}", "{work}" and "{tensorrt86}" are replaced.
        minutes: time limit.
        needs: requirements, see `missing`.
    """

    name: str
    commands: tuple[tuple[str, ...], ...]
    minutes: float
    needs: tuple[str, ...] = ()


def steps(device: str) -> list[Step]:
    """Return the steps for a device, in order."""
    bench, tests = str(HERE), str(REPOSITORY / "tests/export/test_on_gpu.py")
    pytest = ("{python}", "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "-m", "slow or not slow", tests)
    if device == "cpu":
        latency = ("{python}", f"{bench}/latency.py", "--quick", "--json", "{work}/latency.json")
        return [
            Step("files", (("{python}", f"{bench}/engine_files.py", "{work}", "espcn"),), 2, ("onnx",)),
            Step(
                "aoti", (("{python}", "-m", "srblocks_export.cli", "--aoti", "--force", "-o", "{work}"),), 5, ("aoti",)
            ),
            Step("tests", (pytest,), 3, ("pytest",)),
            Step("latency", (latency,), 8),
        ]
    found = [
        Step(f"tests {name}", ((*pytest, "-k", name),), 8, ("cuda", "pytest", *needs))
        for name, needs in (
            ("cuda_packages", ("aoti",)),
            ("engines_match", ("trt",)),
            ("stream_and_shape", ("trt",)),
            ("rtx_engines", ("trt-rtx",)),
            ("torch_tensorrt", ("torch-trt",)),
        )
    ]
    found.append(Step("files", (("{python}", f"{bench}/engine_files.py", "{work}", *NETWORKS),), 5, ("onnx",)))
    for name in NETWORKS:
        for precision in ("fp32", "fp16"):
            stem = f"{{work}}/{name}-{precision}"
            build = ("{tensorrt86}", "-m", "trt_engine", f"{stem}.onnx", "--library", "tensorrt", "--force")
            run = ("{tensorrt86}", f"{bench}/run_plan.py", f"{stem}.engine", f"{{work}}/{name}.npz")
            found.append(Step(f"tensorrt86 {name} {precision}", (build, run), 4, ("cuda", "tensorrt86", "files")))
    for case in CUDA_CASES:
        command = ("{python}", f"{bench}/latency.py", "--device", "cuda", "--cases", case.name)
        found.append(
            Step(f"latency {case.name}", ((*command, "--json", f"latency-gpu-{case.name}.json"),), 8, ("cuda",))
        )
    return found


def missing(need: str, args: Any, done: dict[str, Any]) -> str:
    """Return why a requirement is not met; empty if it is."""
    if need == "cuda":
        import torch  # noqa: PLC0415

        return "" if torch.cuda.is_available() else "no CUDA device"
    if need == "tensorrt86":
        return "" if args.tensorrt86 and (args.tensorrt86 / "python").exists() else "no TensorRT 8.6: use --tensorrt86"
    if need == "files":
        return "" if done.get("files", {}).get("result") == "ok" else "the step files was not run"
    if need in FORMATS:
        found = FORMATS[need].missing(device=args.device)
        return found.what if found else ""
    return "" if importlib.util.find_spec(need) else f"{need} is not installed"


def execute(step: Step, args: Any) -> dict[str, Any]:
    """Run the commands of a step; return its row of the record."""
    places = {
        "{python}": sys.executable,
        "{work}": str(args.work.absolute()),
        "{tensorrt86}": str(args.tensorrt86 / "python") if args.tensorrt86 else "",
    }
    start, output, result = time.monotonic(), "", "ok"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(REPOSITORY / "export"), str(ENGINES)))}
    for command in step.commands:
        line = [_filled(part, places) for part in command]
        left = 60 * step.minutes - (time.monotonic() - start)
        with subprocess.Popen(
            line, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, start_new_session=True,
        ) as process:  # fmt: skip
            try:
                printed, _ = process.communicate(timeout=max(1.0, left))
            except (subprocess.TimeoutExpired, KeyboardInterrupt) as stopped:
                os.killpg(process.pid, signal.SIGKILL)
                printed, _ = process.communicate()
                if isinstance(stopped, KeyboardInterrupt):
                    raise
                result = f"took over {step.minutes:g} minutes"
        output += printed
        if result == "ok" and process.returncode:
            result = f"exit code {process.returncode}"
        if result != "ok":
            break
    row = {"step": step.name, "result": result, "seconds": round(time.monotonic() - start, 1)}
    return row | {"figures": _figures(output), "output": output[-TAIL:]}


def _filled(part: str, places: dict[str, str]) -> str:
    for name, value in places.items():
        part = part.replace(name, value)
    return part


def _figures(output: str) -> Any:
    """Return the JSON that a step prints in its last line; None if there is none."""
    try:
        return json.loads(output.strip().rpartition("\n")[2])
    except ValueError:
        return None


def show_plan(plan: Sequence[Step], args: Any, done: dict[str, Any]) -> None:
    """Print the steps, what is missing for them, and in which call they run."""
    call, left = 1, args.minutes
    for step in plan:
        reason = next(filter(None, (missing(need, args, done) for need in step.needs if need != "files")), "")
        if step.name in done and not args.force:
            state = f"done: {done[step.name]['result']}"
        elif reason:
            state = f"skipped: {reason}"
        else:
            if step.minutes > left:
                call, left = call + 1, args.minutes
            left -= step.minutes
            state = f"call {call}"
        print(f"{step.name:34} {step.minutes:4.0f} min  {state}")
        for command in step.commands:
            print(f"    {' '.join(command)}")


def main(arguments: Sequence[str] | None = None, plan: Sequence[Step] | None = None) -> int:
    """Run the kit; return 1 if a step failed, otherwise 0."""
    parser = options.parser(__doc__.partition("\n")[0], "device")
    parser.set_defaults(device="cuda", json=Path("gpu.json"))
    parser.add_argument("--minutes", type=float, default=9, help="length of this call (9)")
    parser.add_argument("--tensorrt86", type=Path, metavar="FOLDER", help="unpacked Python with TensorRT 8.6")
    parser.add_argument("--work", type=Path, default=Path("gpu-work"), metavar="FOLDER", help="for files (gpu-work)")
    parser.add_argument("--only", nargs="+", metavar="STEP", help="these steps, also if they are done")
    parser.add_argument("--force", action="store_true", help="repeat finished steps")
    parser.add_argument("--dry-run", action="store_true", help="print the steps, and stop")
    args = parser.parse_args(arguments)
    deadline = time.monotonic() + 60 * args.minutes
    plan = steps(args.device) if plan is None else plan
    if unknown := set(args.only or ()) - {step.name for step in plan}:
        parser.error(f"unknown step {sorted(unknown)[0]!r}; available: {', '.join(step.name for step in plan)}")
    before = Record.read(args.json).rows if result_path(args.json).is_file() else []
    done = {row["step"]: row for row in before}
    if args.dry_run:
        show_plan(plan, args, done)
        return 0
    args.work.mkdir(parents=True, exist_ok=True)
    on_gpu = args.device == "cuda" and not missing("cuda", args, done)
    record = Record.start("gpu", device="cuda" if on_gpu else "cpu")
    record.rows = before
    waiting = []
    for step in plan:
        wanted = step.name in args.only if args.only else step.name not in done or args.force
        if not wanted:
            continue
        if reason := next(filter(None, (missing(need, args, done) for need in step.needs)), ""):
            record.skipped[step.name] = reason
        elif step.minutes > (deadline - time.monotonic()) / 60:
            waiting.append(step.name)
            continue
        else:
            print(f"{step.name} ...", flush=True)
            done[step.name] = execute(step, args)
            print(f"{step.name}: {done[step.name]['result']}, {done[step.name]['seconds']} s", flush=True)
            record.rows = [row for row in record.rows if row["step"] != step.name] + [done[step.name]]
        record.write(args.json)
    record.write(args.json)
    record.print_skipped()
    if waiting:
        print(f"left for the next call: {', '.join(waiting)}")
    return int(any(row["result"] != "ok" for row in record.rows))


if __name__ == "__main__":
    sys.exit(main())
