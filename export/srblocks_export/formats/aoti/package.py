"""Contents of AOTInductor packages: rewriting without paths of this machine, and inspection before loading."""

import hashlib
import io
import json
import os
import platform
import re
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...errors import ExportError

METADATA = "srblocks"
_FACTS = "srblocks_facts"
_OMITTED = ("kernel.cpp", "kernel_metadata.json", ".data/serialization_id")
# torch 2.11 finds the metadata by the name of the source file, whose content has paths of this machine.
_NO_SOURCE = b"// left out\n"
# The linker's hash of the library, which covers the paths inside.
_BUILD_ID = re.compile(rb"(?<=\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0).{20}", re.DOTALL)
# Words of AOTI_CPU_ISA whose torch.cpu capability has another name.
_ALIASES = {"avx512": "avx512_f", "asimd": "neon"}
_UNIVERSAL = {"invalid_vec_isa", "default", "zvector", "vsx"}


def machine_paths(cache: str) -> re.Pattern[bytes]:
    """Return a pattern of this machine's paths in machine code: torch's headers, and sources in temporary folders."""
    caches = [re.escape(name.encode()) + rb"(?:/\w+)?" for name in (cache, os.path.realpath(cache))]
    return re.compile(b"|".join([*caches, re.escape(str(Path(torch.__file__).parents[1]).encode())]))


def rewrite(package: io.BytesIO, path: Path, paths: re.Pattern[bytes], facts: dict[str, Any]) -> dict[str, Any]:
    """Copy the records without dates, sources and paths of this machine, and add `facts`.

    Paths inside the library are overwritten with slashes of the same length, so that no offset changes.

    Returns:
        Properties that a host must match.
    """
    with zipfile.ZipFile(package) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target:
        records: dict[str, bytes] = {}
        for record in source.infolist():
            if record.filename.endswith(_OMITTED):
                continue
            content = _NO_SOURCE if record.filename.endswith(".cpp") else source.read(record)
            records[record.filename] = paths.sub(lambda name: b"/" * len(name[0]), content)
        stem = _stem(records)
        library = _library(records, stem)
        records[library] = _BUILD_ID.sub(bytes(20), records[library])
        metadata = json.loads(records[f"{stem}_metadata.json"])
        facts = facts | {"sha256": hashlib.sha256(records[library]).hexdigest()}
        metadata[_FACTS] = json.dumps(facts, sort_keys=True)
        records[f"{stem}_metadata.json"] = json.dumps(metadata, sort_keys=True).encode()
        for name, content in records.items():
            target.writestr(zipfile.ZipInfo(name), content)
    portability = {
        "device": metadata["AOTI_DEVICE_KEY"],
        "os": f"{metadata['AOTI_PLATFORM']}-{metadata['AOTI_MACHINE']}",
        "cpu_isa": metadata["AOTI_CPU_ISA"],
        "torch": facts["torch"],
    }
    if capability := metadata.get("AOTI_COMPUTE_CAPABILITY"):
        portability["compute_capability"] = _version(capability)
    return portability


def _stem(names: Any) -> str:
    """Return the common start of the names of a package's library, source and metadata."""
    found = [name for name in names if name.endswith(".wrapper_metadata.json")]
    if len(found) != 1:
        raise ValueError("not an AOTInductor package of one network")
    return found[0].removesuffix("_metadata.json")


def _library(names: Any, stem: str) -> str:
    found = [name for name in names if name in (f"{stem}.so", f"{stem}.pyd")]
    if len(found) != 1:
        raise ValueError("no machine code in the package")
    return found[0]


def inspect(path: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the metadata of torch and srblocks in a package, after checking the hash of its machine code."""
    with zipfile.ZipFile(path) as archive:
        stem = _stem(archive.namelist())
        metadata = json.loads(archive.read(f"{stem}_metadata.json"))
        if not {METADATA, _FACTS, "AOTI_DEVICE_KEY"} <= metadata.keys():
            raise ValueError("not a package of srblocks")
        facts = json.loads(metadata[_FACTS])
        library = archive.read(_library(archive.namelist(), stem))
    if hashlib.sha256(library).hexdigest() != facts["sha256"]:
        raise ValueError("the machine code was modified")
    return metadata, facts


def check_host(path: Path, metadata: Mapping[str, str], facts: Mapping[str, Any]) -> None:
    """Check that this machine can execute a package.

    Raises:
        ExportError: E402, no CUDA device; E801, built for another machine.
    """

    def refuse(built: str, here: str) -> None:
        raise ExportError(
            801, f"{path} was built for {built}, this machine has {here}", "export it again here with --aoti"
        )

    built, here = (f"{metadata['AOTI_PLATFORM']}-{metadata['AOTI_MACHINE']}", f"{sys.platform}-{platform.machine()}")
    if built != here:
        refuse(built, here)
    if metadata["AOTI_DEVICE_KEY"] == "cuda":
        if not torch.cuda.is_available():
            remedy = "run it on a machine with an NVIDIA GPU, or export it here with --aoti"
            raise ExportError(402, f"{path} was built for CUDA, but there is no usable CUDA device", remedy)
        built, here = metadata["AOTI_COMPUTE_CAPABILITY"], _compute_capability()
        if built != here:
            refuse(f"GPUs of compute capability {_version(built)}", _version(here))
    capabilities = torch.cpu.get_capabilities()
    needed = {name: True for name in map(_capability, metadata["AOTI_CPU_ISA"].split()) if name}
    needed |= facts["cpu_features"]
    lacking = [name for name, value in needed.items() if capabilities.get(name) != value]
    if "amx_tile" in needed and not lacking and not _may_use_tiles():
        lacking = ["permission to use amx_tile"]
    if lacking:
        refuse(f"CPUs with {metadata['AOTI_CPU_ISA']}", f"no {', '.join(lacking)}")


def _may_use_tiles() -> bool:
    """Request permission for AMX tiles, as every process must before using them."""
    return torch.cpu._init_amx()  # pyright: ignore[reportPrivateUsage]


def _capability(word: str) -> str | None:
    """Return the torch.cpu capability for a word of AOTI_CPU_ISA; None if every such machine has it."""
    name = word.lower()
    return None if name in _UNIVERSAL else _ALIASES.get(name, name)


def _compute_capability() -> str:
    """Return that of the current GPU, in the notation of AOTI_COMPUTE_CAPABILITY."""
    from torch._dynamo.device_interface import get_interface_for_device

    return str(get_interface_for_device("cuda").get_compute_capability())


def _version(capability: str) -> str:
    """Return "9.0" for the "90" that torch records."""
    return f"{capability[:-1]}.{capability[-1]}" if capability.isdigit() else capability
