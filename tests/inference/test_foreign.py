"""Networks that srblocks does not have: of a user's module, and of checkpoints that only spandrel knows."""

import sys
from pathlib import Path

import pytest
import torch

from helpers.support import run
from srblocks import registry
from srblocks.checkpoints.errors import UnknownLayoutError
from srblocks.errors import ArgumentError
from srblocks.inference.foreign import import_modules
from srblocks.inference.open_model import ModelSource, open_network
from srblocks_export.runtime import load

OWN = """
from torch import nn
from srblocks.network import Network
from srblocks.registry import NetworkSpec, SizeRequirements, register


class Mine(Network):
    def __init__(self, scale: int = 2, width: int = 4) -> None:
        super().__init__(scale=scale, image_channels=3)
        self.body = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, 12, 1), nn.PixelShuffle(2))

    def forward(self, lr):
        return self.body(lr)


register(NetworkSpec(name="mine", build=Mine, paper="none", size_requirements={2: SizeRequirements(1)}))
"""


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(registry, "_specs", dict(vars(registry)["_specs"]))
    path = tmp_path / "module_of_mine.py"
    path.write_text(OWN)
    monkeypatch.setitem(sys.modules, path.stem, None)
    monkeypatch.delitem(sys.modules, path.stem)
    return path


def test_plain_weights_of_an_imported_network_are_exported(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_modules([str(own)])
    net = registry.network_spec("mine").create().eval()
    torch.save(net.state_dict(), tmp_path / "plain.pth")
    code, _, err = run(capsys, tmp_path / "plain.pth", "--import", own, "-o", tmp_path / "out", "--torchscript", "-q")
    assert (code, err) == (0, "")
    lr = torch.rand(1, 3, 5, 7)
    torch.testing.assert_close(load(tmp_path / "out" / "mine_x2_fp32_dyn.ts")(lr), net(lr).detach())


def test_a_module_that_cannot_be_imported_is_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken_module.py"
    broken.write_text("raise RuntimeError('no luck')")
    for name, reason in ((str(broken), "RuntimeError: no luck"), ("no_such_module", "ModuleNotFoundError: No module")):
        with pytest.raises(ArgumentError, match=reason):
            import_modules([name])
    with pytest.raises(ArgumentError, match="no such file"):
        import_modules([str(tmp_path / "missing.py")])


def test_a_checkpoint_that_only_spandrel_knows_is_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("spandrel")
    from spandrel.architectures.DITN import DITN

    model = DITN(dim=12, ITL_blocks=1, SAL_blocks=1, UFONE_blocks=1, patch_size=8, upscale=2).eval()
    torch.save(model.state_dict(), tmp_path / "ditn.pth")
    code, _, err = run(capsys, tmp_path / "ditn.pth", "--shape", "1x3x16x16", "-o", tmp_path, "-q")
    assert code == 0, err
    lr = torch.rand(1, 3, 16, 16)
    expected = model(lr).detach()
    torch.testing.assert_close(load(next(tmp_path.glob("*.onnx")))(lr), expected, rtol=1e-4, atol=1e-5)


def test_an_unknown_checkpoint_stays_unknown(tmp_path: Path) -> None:
    torch.save({"a.weight": torch.rand(2, 3)}, tmp_path / "unknown.pth")
    with pytest.raises(UnknownLayoutError, match="match no known layout"):
        open_network(ModelSource(tmp_path / "unknown.pth"))


def test_spandrel_is_recommended_for_unknown_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spandrel", None)
    torch.save({"a.weight": torch.rand(2, 3)}, tmp_path / "unknown.pth")
    with pytest.raises(UnknownLayoutError, match=r'pip install "srblocks\[spandrel\]"'):
        open_network(ModelSource(tmp_path / "unknown.pth"))
