"""docs/fine-tuning.md, carried out: published weights, fine-tuned, measured, exported, verified, shipped."""

import importlib.util
import json
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from string import Template

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.support import REPOSITORY
from srblocks import load_checkpoint, on_rgb
from srblocks.evaluate import cli as evaluation
from srblocks.inference import cli as upscaling
from srblocks.pretrained import pretrained_path
from srblocks_export import cli

DOCUMENT = (REPOSITORY / "docs/fine-tuning.md").read_text()
FENCE = re.compile(r"^```(sh|python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SMALLER = {"--steps 500": "--steps 8", "--batch 8": "--batch 4", "--patch 32": "--patch 12", "--ema 0.99": "--ema 0.5"}


def words(screen: str) -> str:
    """A screen without what differs from run to run and from machine to machine."""
    return " ".join(re.sub(r"[\d.,]+(e-\d+)?|[━╸╺]+", "#", screen).split())


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """Runs a command line of the document in this process; gives what it printed."""

    def train(arguments: list[str]) -> int:
        spec = importlib.util.spec_from_file_location("train_example", REPOSITORY / "examples/train.py")
        script = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(script)
        monkeypatch.setattr(sys, "argv", ["train.py", *arguments])
        script.main()
        return 0

    commands = {
        "python examples/train.py": train,
        "srblocks-evaluate": evaluation.main,
        "srblocks-export": cli.main,
        "srblocks-upscale": upscaling.main,
    }

    def run_line(line: str) -> str:
        (name,) = [name for name in commands if line.startswith(f"{name} ")]
        capsys.readouterr()
        assert commands[name](shlex.split(line.removeprefix(name))) == 0, line
        return capsys.readouterr().out

    return run_line


def fences() -> Iterator[tuple[str, str]]:
    """Language and text of every fence; a command is one line."""
    for language, text in FENCE.findall(DOCUMENT):
        yield language, text.replace("\\\n", "") if language == "sh" else text


@pytest.mark.slow
@pytest.mark.parametrize("network", ["fsrcnn", "carn_m"])
def test_the_path_from_published_weights_to_an_upscaled_photograph(
    network: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[[str], str],
    request: pytest.FixtureRequest,
) -> None:
    """CARN-M of its authors as the document has it, where the data is at hand; the bundled FSRCNN anywhere."""
    monkeypatch.chdir(tmp_path)
    published = network == "carn_m"
    if published:
        shutil.copy(request.getfixturevalue("data") / "weights/carn_m.pth", tmp_path)
    (_, first), *rest = fences()
    variables = dict(pair.split("=") for pair in shlex.split(first, comments=True))
    if not published:
        variables |= {"NETWORK": network, "WEIGHTS": str(pretrained_path(network, scale=2))}
    figures: list[float] = []
    shown = ""
    for language, text in rest:
        if language == "python":
            exec(compile(text, "fine-tuning.md", "exec"), {})
        elif language == "text":
            assert words(shown) == words(text) or not published
        else:
            line = Template(text).substitute(variables).strip()
            for said, done in SMALLER.items() if "train.py" in line else ():
                assert said in line
                line = line.replace(said, done)
            shown = run(line)
            if "srblocks-evaluate" in line:
                figures.append(float(re.search(r"^mean +([\d.]+)", shown, re.MULTILINE)[1]))
    before, after, artifact = figures
    assert after > before + 0.01
    assert artifact == pytest.approx(after, abs=2e-3)  # printed with three digits
    check_what_was_made(network, Path(variables["HELD_OUT"]))


def check_what_was_made(network: str, images: Path) -> None:
    """The verified file is of the tuned weights, and the upscaled images are those of the network."""
    net = load_checkpoint("runs/tuned/model.safetensors", network=network)
    (entry,) = json.loads(Path("exported/manifest.json").read_text())["artifacts"]
    assert (entry["model"]["name"], entry["model"]["scale"], entry["artifact"]["file"]) == (network, 2, "tuned.onnx")
    assert entry["verify"]["status"] == "pass"
    assert sorted(path.name for path in Path("upscaled").iterdir()) == ["0.png", "1.png"]
    for path in images.iterdir():
        low = torch.from_numpy(np.asarray(Image.open(path)) / np.float32(255)).permute(2, 0, 1)[None]
        with torch.inference_mode():
            high = on_rgb(net)(low)[0].permute(1, 2, 0).clamp(0, 1).numpy() * 255
        np.testing.assert_allclose(np.asarray(Image.open(Path("upscaled") / path.name)), high, atol=0.51)
