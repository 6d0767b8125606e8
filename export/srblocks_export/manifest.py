"""The manifest: the description of an artifact, embedded in it where the format allows, and manifest.json next to it.

The stand-alone `trt_engine` reads manifest.json by itself, because it also runs without this package.
"""

import contextlib
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ExportError
from .formats.tensorrt.trt_engine.locking import locked
from .shapes import AXES, Shapes

if TYPE_CHECKING:
    from srblocks.network import Network

SCHEMA = "srblocks.export/1"
FILE = "manifest.json"
NOT_EXECUTED = "built, not executed"
"""Status of the verification of an artifact that no device of the machine can run."""
_LARGEST_SCALE = 64
_LARGEST_RADIUS = 2**20


@dataclass(frozen=True)
class ModelInfo:
    """The network that an artifact was exported from.

    Attributes:
        name: registry name, or the class name of an unregistered network.
        scale: scale factor.
        config: constructor arguments.
        color: images that the network itself works on, see `srblocks.network.COLORS`.
        params: number of parameters.
        weights_sha256: hash over all parameters and buffers.
        framework: where the network upscales: "pre", "post", "progressive", "iterative" or "other".
        receptive_radius: receptive-field radius in low-resolution pixels; None for the entire image.
    """

    name: str
    scale: int
    config: dict[str, Any]
    color: str | None = None
    params: int = 0
    weights_sha256: str = ""
    framework: str = "other"
    receptive_radius: int | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "ModelInfo":
        """Read the entry; `receptive_radius` must be present.

        Raises:
            KeyError, TypeError, ValueError: the entry is invalid.
        """
        radius = data["receptive_radius"]
        model = cls(**_known(cls, data))
        if type(model.scale) is not int or not 1 <= model.scale <= _LARGEST_SCALE:
            raise ValueError(f"scale={ascii(model.scale)[:40]}")
        if not isinstance(data["name"], str) or not isinstance(data["config"], dict):
            raise TypeError("name and config of the network must be a string and an object")
        if radius is not None and (type(radius) is not int or not 0 <= radius < _LARGEST_RADIUS):
            raise ValueError(f"receptive_radius={ascii(radius)[:40]}")
        return model


@dataclass(frozen=True)
class TensorInfo:
    """An input or output.

    Attributes:
        name: of the tensor, "lr" or "sr".
        dims: sizes; names and expressions such as "2*height" for dynamic ones.
        color: images of an input; None for an output.
        shapes: accepted sizes of an input; None for an output.
        dtype: data type.
        layout: order of the axes.
        range: nominal range of the values.
    """

    name: str
    dims: Sequence[int | str] = ()
    color: str | None = None
    shapes: Shapes | None = None
    dtype: str = "float32"
    layout: str = "NCHW"
    range: Sequence[float] = (0, 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as plain data."""
        data = {"name": self.name, "dtype": self.dtype, "range": list(self.range), "dims": list(self.dims)}
        if self.shapes:
            data |= {"layout": self.layout, "color": self.color} | self.shapes.to_dict()
        return data

    @classmethod
    def input_from_dict(cls, data: Mapping[str, Any]) -> "TensorInfo":
        """Read the entry of an input.

        Raises:
            KeyError, TypeError, ValueError: the entry is invalid.
        """
        if not isinstance(data["color"], str):
            raise TypeError("color of the input must be a string")
        known: dict[str, Any] = {**_known(cls, data), "shapes": Shapes.from_dict(dict(data))}
        return cls(**known)


@dataclass(frozen=True)
class PrecisionInfo:
    """Precision in which an artifact computes.

    Attributes:
        compute: data type of the computation.
        io: data type of inputs and outputs.
        fp32_modules: regular expressions of modules that stay in float32.
        tf32: whether float32 layers may use TF32.
        max_abs_activation: largest absolute activation of the calibration; None if it was not needed.
    """

    compute: str = "float32"
    io: str = "float32"
    fp32_modules: Sequence[str] = ()
    tf32: bool = False
    max_abs_activation: float | None = None


@dataclass(frozen=True)
class RewriteInfo:
    """A graph rewrite that was applied, its result, and the number of modules."""

    name: str
    result: str
    modules: int


@dataclass(frozen=True)
class ArtifactInfo:
    """The file.

    Attributes:
        format: name of the format.
        file: file name in the folder.
        bytes: file size.
        sha256: hash of the file.
        portability: properties that a host must match; empty for portable formats.
        extra_files: further files that belong to the artifact.
        details: further facts of the format, such as the ONNX opset.
    """

    format: str
    file: str
    bytes: int
    sha256: str
    portability: Mapping[str, Any] = field(default_factory=dict[str, Any])
    extra_files: Sequence[str] = ()
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as plain data, with the details next to the other keys."""
        data = asdict(self)
        return data | data.pop("details")

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "ArtifactInfo":
        """Read the entry; unknown keys become `details`."""
        known = _known(cls, data)
        known.pop("details", None)
        return cls(**known, details={key: value for key, value in data.items() if key not in known})


@dataclass(frozen=True)
class CaseInfo:
    """Comparison at one shape.

    Attributes:
        shape: of the input.
        max_error: largest absolute error, relative to the standard deviation of the reference output.
        psnr_db: PSNR for a peak of 1; None for equal outputs.
        problem: why the artifact is rejected; None if it passed.
    """

    shape: Sequence[int]
    max_error: float | None = None
    psnr_db: float | None = None
    problem: str | None = None


@dataclass(frozen=True)
class VerificationInfo:
    """The verification in a fresh process.

    Attributes:
        cases: one per shape; none if the artifact was not executed.
        problem: why the artifact is rejected; None if it passed.
        executed: whether the artifact was executed; if not, no device here can run it.
        checks: what was checked without executing it.
    """

    cases: tuple[CaseInfo, ...] = ()
    problem: str | None = None
    executed: bool = True
    checks: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """Return "pass", "fail", or `NOT_EXECUTED`."""
        if self.problem:
            return "fail"
        return "pass" if self.executed else NOT_EXECUTED

    @property
    def max_error(self) -> float | None:
        """Largest relative error of all cases."""
        return max((case.max_error for case in self.cases if case.max_error is not None), default=None)

    @property
    def psnr_db(self) -> float | None:
        """Smallest PSNR of all cases."""
        return min((case.psnr_db for case in self.cases if case.psnr_db is not None), default=None)

    def to_dict(self) -> dict[str, Any]:
        """Return the results as plain data."""
        checks = {} if self.executed else {"checks": list(self.checks)}
        return checks | {
            "status": self.status,
            "problem": self.problem,
            "max_error": self.max_error,
            "psnr_db": self.psnr_db,
            "cases": [asdict(case) | {"shape": list(case.shape)} for case in self.cases],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "VerificationInfo | None":
        """Read the entry; None for ``{"status": "off"}``."""
        if data.get("status") == "off":
            return None
        cases = tuple(CaseInfo(**_known(CaseInfo, case)) for case in data["cases"])
        return cls(cases, data["problem"], "checks" not in data, tuple(data.get("checks", ())))


@dataclass(frozen=True)
class Manifest:
    """Description of one artifact.

    The first five attributes are embedded in the file. The others are known once it is written; only manifest.json
    has them. Nothing embedded depends on the machine.

    Attributes:
        model: the network.
        input: the input.
        outputs: the outputs.
        precision: how the artifact computes.
        rewrites: the rewrites that were applied.
        artifact: the file; None in the embedded description.
        verification: results; None if the verification was off.
        tool: versions of the libraries that made the artifact.
        warnings: warnings of the export.
    """

    model: ModelInfo
    input: TensorInfo
    outputs: tuple[TensorInfo, ...] = ()
    precision: PrecisionInfo = field(default_factory=PrecisionInfo)
    rewrites: tuple[RewriteInfo, ...] = ()
    artifact: ArtifactInfo | None = None
    verification: VerificationInfo | None = None
    tool: Mapping[str, str] = field(default_factory=dict[str, str])
    warnings: Sequence[str] = ()

    @property
    def shapes(self) -> Shapes:
        """Accepted input sizes."""
        assert self.input.shapes
        return self.input.shapes

    def to_dict(self) -> dict[str, Any]:
        """Return the manifest as plain data: what is embedded, and the rest if the file is known."""
        data: dict[str, Any] = {
            "schema": SCHEMA,
            "model": asdict(self.model),
            "io": {"input": self.input.to_dict(), "outputs": [output.to_dict() for output in self.outputs]},
            "precision": asdict(self.precision) | {"fp32_modules": list(self.precision.fp32_modules)},
            "rewrites": [asdict(rewrite) for rewrite in self.rewrites],
        }
        if self.artifact:
            data |= {
                "artifact": self.artifact.to_dict() | {"extra_files": list(self.artifact.extra_files)},
                "tool": dict(self.tool),
                "warnings": list(self.warnings),
                "verify": self.verification.to_dict() if self.verification else {"status": "off"},
            }
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Manifest":
        """Read and validate a manifest; unknown keys are ignored.

        Raises:
            KeyError, TypeError, ValueError: the manifest is invalid or has another schema.
        """
        if data["schema"] != SCHEMA:
            raise ValueError(f"schema {ascii(data['schema'])[:40]}, expected {SCHEMA}")
        io = data["io"]
        return cls(
            model=ModelInfo.from_dict(data["model"]),
            input=TensorInfo.input_from_dict(io["input"]),
            outputs=tuple(TensorInfo(**_known(TensorInfo, entry)) for entry in io.get("outputs", ())),
            precision=PrecisionInfo(**_known(PrecisionInfo, data.get("precision", {}))),
            rewrites=tuple(RewriteInfo(**_known(RewriteInfo, entry)) for entry in data.get("rewrites", ())),
            artifact=ArtifactInfo.from_dict(data["artifact"]) if "artifact" in data else None,
            verification=VerificationInfo.from_dict(data["verify"]) if "verify" in data else None,
            tool=data.get("tool", {}),
            warnings=data.get("warnings", ()),
        )


def _known(cls: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of `data` that are fields of a dataclass.

    Raises:
        ValueError: a required field is missing.
    """
    for entry in fields(cls):
        if entry.name not in data and entry.default is MISSING and entry.default_factory is MISSING:
            raise ValueError(f"no {entry.name}")
    return {entry.name: data[entry.name] for entry in fields(cls) if entry.name in data}


def describe(net: "Network", shapes: Shapes) -> Manifest:
    """Describe the artifacts of a network: the part of the manifest that is embedded in every file."""
    from srblocks.color import OnLuma, OnYCbCr
    from srblocks.networks import network_name, network_spec
    from srblocks.tiling import receptive_radius

    inner = net.net if isinstance(net, (OnLuma, OnYCbCr)) else net
    try:
        name = network_name(inner)
        framework = network_spec(name).framework
    except ValueError:  # an unregistered network
        name, framework = str(getattr(inner, "name", type(inner).__name__)), "other"
    manifest = Manifest(
        ModelInfo(
            name,
            net.scale,
            inner.config,
            inner.color,
            sum(parameter.numel() for parameter in net.parameters()),
            _weights_hash(net),
            framework,
            receptive_radius(net),
        ),
        TensorInfo("lr", color=net.color),
    )
    return with_shapes(manifest, shapes)


def with_shapes(manifest: Manifest, shapes: Shapes) -> Manifest:
    """Return the description of the same network for other input sizes."""
    scale = manifest.model.scale
    sides = [low if low == high else AXES[axis] for axis, (low, high) in enumerate(shapes.ranges)]
    upscaled = [side * scale if isinstance(side, int) else f"{scale}*{side}" for side in sides[2:]]
    lr = replace(manifest.input, dims=sides, shapes=shapes)
    return replace(manifest, input=lr, outputs=(TensorInfo("sr", [*sides[:2], *upscaled]),))


def describe_file(format_name: str, temporary: Path, name: str, details: Mapping[str, Any]) -> ArtifactInfo:
    """Describe a finished file that will be moved to `name`; `details` come from the format's `write`."""
    digest = hashlib.sha256(temporary.read_bytes()).hexdigest()
    known = {"format": format_name, "file": name, "bytes": temporary.stat().st_size, "sha256": digest}
    return ArtifactInfo.from_dict(known | dict(details))


def tool_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that make artifacts."""
    packages = ("srblocks", "torch", "onnx", "onnxscript", "onnxruntime", "tensorrt", "torch_tensorrt")
    found = {"python": platform.python_version()}
    for package in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def add_artifact(temporary: Path, path: Path, entry: Mapping[str, Any], *, force: bool) -> None:
    """Move a finished artifact to its name and add its entry to the folder's manifest.json.

    An older entry of the same name is removed first, so that no entry ever describes another file. Concurrent exports
    to the folder wait for each other.

    Raises:
        ExportError: E301, the name was taken in the meantime and `force` is off; E303, manifest.json is unreadable.
    """
    from srblocks._utils.files import publish

    with locked(path.parent):
        before = read_entries(path.parent)
        entries = [old for old in before if old["artifact"]["file"] != path.name]
        if path.exists() and not force:
            raise ExportError(301, f"{path} exists", "use --force to overwrite it, or another folder with -o")
        if len(entries) < len(before):
            _write_entries(path.parent, entries)
        publish(temporary, path)
        _write_entries(path.parent, [*entries, entry])


def _write_entries(folder: Path, entries: Sequence[Mapping[str, Any]]) -> None:
    from srblocks._utils.files import atomic_path

    content = {"schema": SCHEMA, "artifacts": sorted(entries, key=lambda item: item["artifact"]["file"])}
    with atomic_path(folder / FILE) as manifest:
        manifest.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


def read_entries(folder: Path) -> list[dict[str, Any]]:
    """Return the entries of the folder's manifest.json as they are, or an empty list if there is no such file.

    Raises:
        ExportError: E303, the file is not a manifest of this schema.
    """
    path = folder / FILE
    try:
        content = json.loads(path.read_text())
        if content["schema"] == SCHEMA and all(
            isinstance(item["artifact"]["file"], str) for item in content["artifacts"]
        ):
            return content["artifacts"]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise ExportError(303, f"{path} is not a {SCHEMA} manifest", "move it away, or use another folder with -o")


def _weights_hash(net: "Network") -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(net.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
