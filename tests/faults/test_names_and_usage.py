"""Invalid file names and usage errors: one line each, the documented exit code, and JSON on request."""

import json
from pathlib import Path

import pytest

from helpers.commands import Commands
from helpers.support import run
from srblocks_export.manifest import SCHEMA, add_artifact

LONG = "n" * 300


def test_too_long_file_names_are_reported_in_one_line(commands: Commands, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    unreadable = "cannot be read (File name too long)"
    unwritable = "cannot be written (File name too long); choose another"
    for code, message, *line in (
        (9, unreadable, "upscale", LONG, "-o", out),
        (9, unreadable, "upscale", f"{LONG}.png", "-o", out),
        (3, f"{unwritable} -o", "upscale", images, "-o", LONG),
        (3, unwritable, "upscale", images / "a.png", "-o", f"{LONG}.png"),
        (9, unreadable, "upscale", images, "-o", out, "--model", f"{LONG}.pth"),
        (9, unreadable, "upscale", images, "-o", out, "--model", f"{LONG}.onnx"),
        (9, unreadable, "evaluate", "--scale", 2, "--data", LONG),
        (9, unreadable, "evaluate", "--scale", 2, "--data", images, "--weights", LONG),
        (9, unreadable, "evaluate", "--data", images, "--artifact", f"{LONG}.ts"),
        (2, "E201 unknown network", "export", LONG, "-o", out),
        (9, unreadable, "export", "--weights", LONG, "-o", out),
        (3, f"{unwritable} folder", "export", "--torchscript", "-o", LONG),
    ):
        found = commands.run(*line, current=str(tmp_path))
        assert (found.code, found.out) == (code, ""), line
        assert message in found.err, line
        assert found.err.count("\n") == 1, line
        assert list(tmp_path.iterdir()) == [], line


def test_usage_errors_are_json_on_request(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for message, *arguments in (
        (
            'E200 invalid value for --scale: unable to convert "two" into int; see srblocks-export --help',
            *("--scale", "two"),
        ),
        ("E200 unknown option: --nonsense", "--nonsense"),
        ("E203 invalid shape 'banana'", "--shape", "banana"),
        ("E201 unknown network 'edsr_basline'", "edsr_basline"),
    ):
        code, out, err = run(capsys, *arguments, "--json", "-o", tmp_path)
        assert code == 2, arguments
        assert err.startswith(f"srblocks-export: {message}"), arguments
        report = json.loads(out)
        assert (report["exit_code"], f"srblocks-export: {report['error']}\n") == (2, err), arguments


def test_manifest_entry_is_removed_before_and_added_after_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from srblocks._utils import files

    def add(content: str) -> None:
        (tmp_path / "temporary").write_text(content)
        entry = {"artifact": {"file": "a.ts"}, "content": content}
        add_artifact(tmp_path / "temporary", tmp_path / "a.ts", entry, force=True)

    def listed() -> list[str]:
        content = json.loads((tmp_path / "manifest.json").read_text())
        assert content["schema"] == SCHEMA
        return [entry["content"] for entry in content["artifacts"]]

    add("old")
    assert listed() == ["old"]
    original, seen = files.publish, []

    def publish(temporary: Path, path: Path) -> None:
        original(temporary, path)
        seen.append((path.name, listed(), (tmp_path / "a.ts").read_text()))

    monkeypatch.setattr(files, "publish", publish)
    add("new")
    assert seen == [("manifest.json", [], "old"), ("a.ts", [], "new"), ("manifest.json", ["new"], "new")]
