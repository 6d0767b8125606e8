"""Networks of other packages through the entry-point group ``srblocks.networks``."""

import json
import os
import sys
import textwrap
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hatchling.build import build_wheel

from helpers.commands import Commands, Finished

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "1.2"

[project.entry-points."srblocks.networks"]
{entries}
"""
MODULE = """
from srblocks import {imported}, PixelShuffleUp, PostUpsampling, conv
from srblocks.registry import NetworkSpec, SizeRequirements


class Tiny(PostUpsampling):
    def __init__(self, *, scale: int = 2, image_channels: int = 1, width: int = 4) -> None:
        super().__init__(
            scale=scale,
            image_channels=image_channels,
            head=conv(image_channels, width),
            body=conv(width, width),
            upsampler=PixelShuffleUp(width, scale),
            tail=conv(width, image_channels),
        )


def spec(name):
    return NetworkSpec(name=name, build=Tiny, paper="nobody", size_requirements={{2: SizeRequirements(radius=2)}})


single = spec({single!r})
several = [spec(name) for name in {several!r}]
strange = [spec("never"), "a string"]
none = None
"""


Run = Callable[[Path, str], Finished]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Runs code with the packages of a folder, in a process that has imported torch but not srblocks."""
    with Commands(tmp_path_factory.mktemp("server") / "commands", ["torch", "einops"], warm=False) as server:
        yield lambda site, code: server.run("call", __file__, "execute", site, textwrap.dedent(code))


def execute(site: str, code: str) -> None:
    """Execute code with the packages of a folder."""
    sys.path.insert(0, site)
    exec(code, {"__name__": "__main__"})


def install(
    site: Path,
    name: str,
    entries: str,
    *,
    single: str = "unused",
    several: tuple[str, ...] = (),
    imported: str = "Network",
) -> None:
    """Build the wheel of a project and unpack it into `site`."""
    project = site / "projects" / name
    package = project / name.replace("-", "_")
    package.mkdir(parents=True)
    (project / "pyproject.toml").write_text(PROJECT.format(name=name, entries=textwrap.dedent(entries)))
    (package / "__init__.py").write_text(MODULE.format(single=single, several=several, imported=imported))
    before = Path.cwd()
    os.chdir(project)
    try:
        wheel = build_wheel(str(project))
    finally:
        os.chdir(before)
    with zipfile.ZipFile(project / wheel) as archive:
        archive.extractall(site)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with installed packages, two of which are broken."""
    folder = tmp_path_factory.mktemp("site")
    install(folder, "a-good-one", 'one = "a_good_one:single"', single="tiny")
    install(
        folder,
        "b-better-one",
        'taken = "b_better_one:single"\nmore = "b_better_one:several"',
        single="edsr",
        several=("tiny_b", "tiny", "tiny_c"),
    )
    install(folder, "c-broken", 'gone = "c_broken:single"', imported="NoSuchThing")
    install(
        folder,
        "d-strange",
        'list = "d_strange:strange"\nnone = "d_strange:none"\nmissing = "d_strange:absent"',
    )
    return folder


def test_module_that_exits_is_reported_and_ctrl_c_passes(run: Run, tmp_path: Path) -> None:
    install(tmp_path, "e-ends", 'ends = "e_ends:single"')
    module = tmp_path / "e_ends" / "__init__.py"
    code = """
    import warnings
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        import srblocks
        print("edsr" in srblocks.list_networks(), *[one.message for one in caught], sep="|")
    """
    module.write_text("import sys\nsys.exit(3)\n")
    found = run(tmp_path, code)
    assert found.out.strip() == (
        "True|skipped networks of e-ends 1.2 (entry point ends = e_ends:single): SystemExit: 3; update or remove it"
    ), found.err
    module.write_text("raise KeyboardInterrupt\n")
    found = run(tmp_path, code)
    assert (found.out, found.code != 0) == ("", True)
    assert found.err.strip().endswith("KeyboardInterrupt")


def test_networks_of_other_packages_work_and_broken_ones_are_reported(run: Run, site: Path, tmp_path: Path) -> None:
    export = ["tiny", "--scale", "2", "--torchscript", "--verify", "off", "-o", str(tmp_path)]
    code = f"""
    import contextlib, io, json, sys, warnings
    import torch
    import srblocks
    before = [name for name in sys.modules if name == "a_good_one"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        names = srblocks.list_networks()
        again = srblocks.list_networks()
    net = srblocks.create_network("tiny", scale=3, width=8).eval()
    srblocks.save_checkpoint(net, {str(tmp_path / "tiny.safetensors")!r})
    loaded = srblocks.load_checkpoint({str(tmp_path / "tiny.safetensors")!r})
    lr = torch.rand(1, 1, 5, 6)
    warnings.simplefilter("ignore")
    import srblocks.integrations.timm, timm
    from srblocks_export.cli import main
    listing = io.StringIO()
    with contextlib.redirect_stdout(listing):
        codes = [main(["--list"]), main([*{export!r}, "-q"])]
    print(json.dumps({{
        "before": before,
        "tiny": [name for name in names if name.startswith("tiny")],
        "never": "never" in names,
        "edsr": type(srblocks.create_network("edsr", depth=1)).__module__,
        "same": names == again,
        "warnings": [[one.category.__name__, str(one.message)] for one in caught],
        "owner": type(net).__module__,
        "scripted": torch.equal(torch.jit.script(net)(lr), net(lr)),
        "loaded": torch.equal(loaded(lr), net(lr)),
        "timm": timm.list_models("srblocks_tiny*"),
        "exit codes": codes,
        "listed": "tiny_b" in listing.getvalue(),
    }}))
    """
    found = run(site, code)
    assert found.code == 0, found.err
    report = json.loads(found.out)
    assert list(tmp_path.glob("tiny_x2*.ts"))
    categories, messages = zip(*report.pop("warnings"), strict=True)
    assert report == {
        "before": [],
        "tiny": ["tiny", "tiny_b", "tiny_c"],
        "never": False,
        "edsr": "srblocks.networks.edsr",
        "same": True,
        "owner": "a_good_one",
        "scripted": True,
        "loaded": True,
        "timm": ["srblocks_tiny_b_x2", "srblocks_tiny_c_x2", "srblocks_tiny_x2"],
        "exit codes": [0, 0],
        "listed": True,
    }
    assert set(categories) == {"RuntimeWarning"}
    assert [message.partition(": ")[0] for message in messages] == [
        "skipped network 'tiny' of b-better-one 1.2 (entry point more = b_better_one:several)",
        "skipped network 'edsr' of b-better-one 1.2 (entry point taken = b_better_one:single)",
        "skipped networks of c-broken 1.2 (entry point gone = c_broken:single)",
        "skipped networks of d-strange 1.2 (entry point list = d_strange:strange)",
        "skipped networks of d-strange 1.2 (entry point missing = d_strange:absent)",
        "skipped networks of d-strange 1.2 (entry point none = d_strange:none)",
    ]
    for message, reason in zip(
        messages,
        [
            "a_good_one already has one of that name",
            "srblocks already has one of that name",
            "ImportError: cannot import name 'NoSuchThing' from 'srblocks'",
            "TypeError: expected a NetworkSpec or an iterable of them, got str",
            "AttributeError: module 'd_strange' has no attribute 'absent'",
            "TypeError: expected a NetworkSpec or an iterable of them, got NoneType",
        ],
        strict=True,
    ):
        assert reason in message


def test_package_may_register_its_specs_itself(run: Run, site: Path) -> None:
    code = """
    import a_good_one
    from srblocks.networks import network_spec
    from srblocks.registry import register
    register(a_good_one.single)
    print(network_spec("tiny") is a_good_one.single)
    """
    found = run(site, code)
    assert found.out.strip() == "True", found.err
    assert "'tiny' of a-good-one" not in found.err
