"""Command lines that cannot be meant: one line each, the documented exit code, and JSON where it was asked for."""

import json
from pathlib import Path

import pytest

from helpers.commands import Commands
from helpers.support import run
from srblocks_export.manifest import SCHEMA, add_artifact

LONG = "n" * 300


@pytest.mark.parametrize(
    "program,arguments,code,message",
    [
        ("upscale", [LONG, "-o", "OUT"], 9, "cannot be read (File name too long)"),
        ("upscale", [f"{LONG}.png", "-o", "OUT"], 9, "cannot be read (File name too long)"),
        ("upscale", ["PICTURES", "-o", LONG], 3, "cannot be written (File name too long); choose another -o"),
        ("upscale", ["PICTURES/a.png", "-o", f"{LONG}.png"], 3, "cannot be written (File name too long); choose"),
        ("upscale", ["PICTURES", "-o", "OUT", "--model", f"{LONG}.pth"], 9, "cannot be read (File name too long)"),
        ("upscale", ["PICTURES", "-o", "OUT", "--model", f"{LONG}.onnx"], 9, "cannot be read (File name too long)"),
        ("evaluate", ["--scale", "2", "--data", LONG], 9, "cannot be read (File name too long)"),
        ("evaluate", ["--scale", "2", "--data", "PICTURES", "--weights", LONG], 9, "cannot be read (File name too lo"),
        ("evaluate", ["--data", "PICTURES", "--artifact", f"{LONG}.ts"], 9, "cannot be read (File name too long)"),
        ("export", [LONG, "-o", "OUT"], 2, "E201 unknown network"),
        ("export", ["--weights", LONG, "-o", "OUT"], 9, "cannot be read (File name too long)"),
        ("export", ["--torchscript", "-o", LONG], 3, "cannot be written (File name too long); choose another folder"),
    ],
)
def test_a_name_that_no_file_can_have_is_said_in_one_line(
    commands: Commands, images: Path, tmp_path: Path, program: str, arguments: list[str], code: int, message: str
) -> None:
    given = [word.replace("PICTURES", str(images)).replace("OUT", str(tmp_path / "out")) for word in arguments]
    found = commands.run(program, *given, current=str(tmp_path))
    assert (found.code, found.out) == (code, "")
    assert message in found.err
    assert found.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments,message",
    [
        (
            ["--scale", "two"],
            'E200 invalid value for --scale: unable to convert "two" into int; see srblocks-export --help',
        ),
        (["--nonsense"], "E200 unknown option: --nonsense"),
        (["--shape", "banana"], "E203 invalid shape 'banana'"),
        (["edsr_basline"], "E201 unknown network 'edsr_basline'"),
    ],
)
def test_wrong_usage_is_json_where_it_was_asked_for(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, err = run(capsys, *arguments, "--json", "-o", tmp_path)
    assert code == 2
    assert err.startswith(f"srblocks-export: {message}")
    report = json.loads(out)
    assert (report["exit_code"], f"srblocks-export: {report['error']}\n") == (2, err)


def test_the_entry_of_a_file_goes_before_the_file_and_comes_after_it(
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
    honest, seen = files.publish, []

    def publish(temporary: Path, path: Path) -> None:
        honest(temporary, path)
        seen.append((path.name, listed(), (tmp_path / "a.ts").read_text()))

    monkeypatch.setattr(files, "publish", publish)
    add("new")
    assert seen == [("manifest.json", [], "old"), ("a.ts", [], "new"), ("manifest.json", ["new"], "new")]
