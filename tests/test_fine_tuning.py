"""docs/fine-tuning.md is executed: published weights are fine-tuned, evaluated, exported, verified and used."""

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
    """Return an output without numbers and progress bars, which vary."""
    return " ".join(re.sub(r"[\d.,]+(e-\d+)?|[━╸╺]+", "#", screen).split())


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str], str]:
    """Runs a command line of the document in this process; returns its output."""

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
    """Yield the language and text of every code block, with commands on one line."""
    for language, text in FENCE.findall(DOCUMENT):
        yield language, text.replace("\\\n", "") if language == "sh" else text


@pytest.mark.slow
@pytest.mark.parametrize("network", ["fsrcnn", "carn_m"])
def test_fine_tuning_guide_runs(
    network: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run: Callable[[str], str],
    request: pytest.FixtureRequest,
) -> None:
    """With CARN-M, as in the document, if its weights are available; with the bundled FSRCNN anywhere."""
    monkeypatch.chdir(tmp_path)
    published = network == "carn_m"
    if published:
        shutil.copy(request.getfixturevalue("data") / "weights/carn_m.pth", tmp_path)
    (_, first), *rest = fences()
    variables = dict(pair.split("=") for pair in shlex.split(first, comments=True))
    if not published:
        variables |= {"NETWORK": network, "WEIGHTS": str(pretrained_path(network, scale=2))}
    scores: list[float] = []
    shown = ""
    for language, text in rest:
        if language == "python":
            exec(compile(text, "fine-tuning.md", "exec"), {})
        elif language == "text":
            assert words(shown) == words(text) or not published
        else:
            line = Template(text).substitute(variables).strip()
            for original, smaller in SMALLER.items() if "train.py" in line else ():
                assert original in line
                line = line.replace(original, smaller)
            shown = run(line)
            if "srblocks-evaluate" in line:
                scores.append(float(re.search(r"^mean +([\d.]+)", shown, re.MULTILINE)[1]))
    before, after, artifact = scores
    assert after > before + 0.01
    assert artifact == pytest.approx(after, abs=2e-3)  # three digits are printed
    check_files(network, Path(variables["HELD_OUT"]))


def check_files(network: str, images: Path) -> None:
    """Check that the verified artifact has the tuned weights, and that the upscaled images are those of the network."""
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
