"""Concurrent exports to one folder: each file and its manifest entry come from the same export."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import torch

from helpers.commands import Commands
from helpers.support import CASES
from srblocks_export.runtime import load


def entries(folder: Path) -> dict[str, dict]:
    """Return the manifest entries by file, after comparing each with its file."""
    found = {each["artifact"]["file"]: each for each in json.loads((folder / "manifest.json").read_text())["artifacts"]}
    for name, entry in found.items():
        content = (folder / name).read_bytes()
        facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        assert {key: entry["artifact"][key] for key in facts} == facts
        assert load(folder / name).scale == entry["model"]["scale"]
    return found


def test_all_names_are_listed_and_the_first_of_equal_names_wins(
    commands: Commands, tmp_path: Path, tally: Counter[str]
) -> None:
    for number in range(CASES):
        out = tmp_path / str(number)
        names = ["a", "b", "c", "same", "same"]
        scales = [2, 3, 4, 2, 3]
        options = ["--torchscript", "--verify", "off", "-q", "-o", out]
        running = [
            commands.start("export", *options, "--name", name, "--scale", scale)
            for name, scale in zip(names, scales, strict=True)
        ]
        found = [process.wait() for process in running]
        tally["exports at once"] += len(found)
        assert [each.code for each in found[:3]] == [0, 0, 0]
        assert sorted(each.code for each in found[3:]) == [0, 3]
        loser = next(each for each in found[3:] if each.code)
        assert loser.err.startswith(f"srblocks-export: E301 {out / 'same.ts'} exists; use --force")
        winner = scales[3 + [each.code for each in found[3:]].index(0)]
        listed = {name: entry["model"]["scale"] for name, entry in entries(out).items()}
        assert listed == {"a.ts": 2, "b.ts": 3, "c.ts": 4, "same.ts": winner}
        assert sorted(path.name for path in out.iterdir()) == ["a.ts", "b.ts", "c.ts", "manifest.json", "same.ts"]


def test_with_force_the_last_export_replaces_file_and_entry(
    commands: Commands, tmp_path: Path, tally: Counter[str]
) -> None:
    flags = ["--torchscript", "--pt2"]
    for number in range(CASES):
        out = tmp_path / str(number)
        options = [*flags, "--force", "--verify", "off", "-q", "--name", "same", "-o", out]
        running = [commands.start("export", *options, "--scale", scale) for scale in (2, 3, 4)]
        found = [process.wait() for process in running]
        tally["exports at once"] += len(found)
        assert [(each.code, each.err) for each in found] == [(0, "")] * 3
        assert len(entries(out)) == len(flags)
        assert len(list(out.iterdir())) == len(flags) + 1
        for name, entry in entries(out).items():
            scale = entry["model"]["scale"]
            assert load(out / name)(torch.rand(1, 1, 5, 6)).shape == (1, 1, 5 * scale, 6 * scale)
