"""Other libraries' implementations beside ours: the same function, and what is said of their times."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch

import peers
from harness import engines, standings
from harness.cases import Case
from harness.parity import Parity, relative_error
from harness.peers import CASES, EVERY, PEERS, Peer, PortSubject, same_weights
from harness.timing import Timing
from srblocks import create_network, optimize, to_precision
from srblocks.networks import network_specs

SPECS = {spec.name: spec for spec in network_specs()}
WHOLE = {
    "vdsr": {"image_channels": 3, "mean_shift": True},
    "carn": {"scales": [2, 3, 4]},
    "carn_m": {"scales": [2, 3, 4]},
}
"""What distinguishes the other libraries' networks from the usual ones of that name."""


def reduced(peer: Peer) -> dict[str, object]:
    return {name: value for name, value in SPECS[peer.network].reduced.items() if name in peer.words}


def titled(peer: Peer) -> str:
    return f"{peer.library}-{peer.network}"


each_peer = pytest.mark.parametrize("peer", PEERS, ids=titled)


@each_peer
@pytest.mark.parametrize("scale", [2, 4])
def test_the_same_weights_give_the_same_images(peer: Peer, scale: int) -> None:
    ports, net = same_weights([peer], scale, **reduced(peer))
    port, lr = ports[peer.library], torch.rand(1, 3, 13, 17)
    given = lr.clone()
    with torch.inference_mode():
        sr = port(lr)
        assert torch.equal(lr, given)
        assert sr.shape == (1, 3, 13 * scale, 17 * scale)
        for ours in (net, optimize(net)):
            assert relative_error(ours(lr), sr) < 1e-4
        assert relative_error(to_precision(port, "bf16")(lr), sr) < 0.25
        for parameter in net.parameters():
            parameter.mul_(1.05)
        assert relative_error(net(lr), sr) > 1e-2


@each_peer
def test_full_sizes_are_those_of_our_networks(peer: Peer) -> None:
    theirs = peer.port(4)
    with torch.device("meta"):
        ours = create_network(peer.network, scale=4, **WHOLE.get(peer.network, {}))
    shapes = [
        Counter(parameter.shape for parameter in net.parameters() if parameter.requires_grad) for net in (theirs, ours)
    ]
    assert shapes[0] == shapes[1]


@each_peer
def test_who_writes_into_the_input_is_known(peer: Peer) -> None:
    port, lr = peer.port(2, **reduced(peer)), torch.rand(1, 3, 8, 8)
    given = lr.clone()
    with torch.no_grad():
        port.net(lr)
    assert torch.equal(lr, given) != peer.writes_input


@each_peer
def test_traced_peers_compute_the_same(peer: Peer, tmp_path: Path) -> None:
    port, lr = peer.port(2, **reduced(peer)), torch.rand(1, 3, 9, 10)
    traced = engines.ENGINES["TorchScript"].build(PortSubject(port, lr, tmp_path / "files"))
    with torch.no_grad():
        assert relative_error(traced(), port(lr)) < 1e-4


@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer.remark], ids=titled)
def test_unusual_peers_compute_the_same_in_onnxruntime(peer: Peer, tmp_path: Path) -> None:
    port, lr = peer.port(2, **reduced(peer)), torch.rand(1, 3, 9, 10)
    exported = engines.ENGINES["onnxruntime"].build(PortSubject(port, lr, tmp_path / "files"))
    with torch.no_grad():
        assert relative_error(exported(), port(lr)) < 1e-4
    assert [path.suffix for path in (tmp_path / "files").iterdir()] == [".onnx"]


def test_all_implementations_of_a_network_have_the_same_weights() -> None:
    of_rcan = peers.peers_of("rcan")
    assert [peer.library for peer in of_rcan] == ["torchsr", "spandrel"]
    ports, _ = same_weights(of_rcan, 2, groups=1, blocks_per_group=1)
    first, other = (port.net.state_dict() for port in ports.values())
    assert first.keys() == other.keys()
    assert all(torch.equal(first[name], other[name]) for name in first)
    alone, _ = same_weights(of_rcan[1:], 2, groups=1, blocks_per_group=1)
    assert torch.equal(alone["spandrel"].net.state_dict()["sub_mean.bias"], first["sub_mean.bias"])


def test_cases_name_what_there_is() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert {peer.network for peer in PEERS} <= {case.network for case in CASES}
    for case in CASES:
        assert case.scale in SPECS[case.network].scales
        assert set(case.goals) == {contest.name for contest in standings.CONTESTS}
        assert set(case.engines) <= {way.label for way in engines.ways("cpu")}
        assert peers.EAGER in case.engines


def candidate(implementation: str, label: str, *milliseconds: float) -> standings.Candidate:
    way = engines.Way.named(label)
    agreement = Parity(1e-6, 2e-6, 120.0, ok=True)
    return standings.Candidate(implementation, way.engine.name, way.precision, Timing(milliseconds), agreement, 1.0)


def test_each_side_of_a_contest_is_its_quickest_candidate() -> None:
    found = standings.verdicts(
        [
            candidate("torchsr", "eager fp32", 40, 41, 42),
            candidate("spandrel", "eager fp32", 30, 44, 45),
            candidate("torchsr", "OpenVINO fp32", 30, 30, 30),
            candidate("spandrel", "onnxruntime fp32", 28, 28, 28),
            candidate("torchsr", "channels_last bf16", 9, 9, 9),
            candidate(standings.PLAIN, "eager fp32", 1, 1, 1),
            candidate("srblocks", "eager fp32", 25, 25, 25),
            candidate("srblocks", "compile fp32", 20, 20, 21),
            candidate("srblocks", "onnxruntime fp32", 14, 14, 14),
        ],
        ("torchsr", "spandrel"),
        {"fp32": 1.9},
        load=0.5,
        cores=2,
    )
    sides = {one.contest: (one.peer.implementation, one.peer.engine, one.ours.engine) for one in found}
    assert sides == {
        "fp32": ("spandrel", "onnxruntime", "onnxruntime"),
        "fp32 against eager": ("torchsr", "eager", "onnxruntime"),
        "fp32 against eager, in PyTorch": ("torchsr", "eager", "compile"),
    }
    assert [(one.ratio.paired, one.outcome) for one in found] == [(2.0, "met"), (41 / 14, ""), (2.0, "")]


@pytest.mark.parametrize(
    ("peer", "ours", "kwargs", "outcome", "noise"),
    [
        ((20, 20, 20), (10, 10, 10), {}, "", ""),
        ((20, 20, 20), (10, 10, 10), {"goal": 2.0}, "met", ""),
        ((20, 20, 20), (10, 10, 10), {"goal": 2.01}, "missed", ""),
        ((20, 20, 20), (11, 11, 9), {"goal": 2.0}, "missed", "noisy (uneven)"),
        ((20, 20, 20), (21, 21, 20), {"goal": 1.0}, "even", ""),
        ((20, 20, 20), (21, 21, 21), {"goal": 1.0}, "missed", ""),
        ((20, 20, 20), (20, 20, 20), {"goal": 1.0}, "met", ""),
        ((20, 24, 24), (10, 10, 10), {"goal": 1.0}, "met", "noisy (uneven)"),
        ((20, 20, 20), (10, 10, 10), {"goal": 3.0, "load": 2.1, "cores": 2}, "missed", "noisy (load 2.1)"),
        ((20, 20, 20), (10, 12, 12), {"load": 2.0, "cores": 2}, "", "noisy (uneven)"),
        ((20, 24, 24), (10, 10, 10), {"load": 3.0, "cores": 2}, "", "noisy (uneven, load 3.0)"),
    ],
)
def test_verdicts(peer: tuple, ours: tuple, kwargs: dict, outcome: str, noise: str) -> None:
    sides = candidate("torchsr", "eager fp32", *peer), candidate("srblocks", "eager fp32", *ours)
    verdict = standings.Verdict("fp32", *sides, **kwargs)
    assert (verdict.outcome, verdict.noise) == (outcome, noise)


def test_the_interval_of_a_median() -> None:
    assert standings.interval([3.0]) == (3.0, 3.0)
    assert standings.interval([5.0, 1.0, 4.0, 2.0, 3.0]) == (1.0, 5.0)  # 15 of 16, at the most
    assert standings.interval(range(6)) == (0, 5)  # 31 of 32
    assert standings.interval(range(11)) == (1, 9)  # 98.8 %; (2, 8) would be 93.5 %
    assert standings.interval(range(100)) == (39, 60)


def small(network: str, config: dict[str, object], *labels: str, goals: dict[str, float] | None = None) -> Case:
    return Case(network, 2, 12, 10, goals or {}, labels, config, quick=True)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> tuple[Case, ...]:
    """Small networks: one that a library has, one that two have, and one that none has; the machine is idle."""
    cases = (
        small("edsr_baseline", {"depth": 1}, *EVERY, goals={"fp32": 0.0, "fp32 against eager": 1e9}),
        small("rcan", {"groups": 1, "blocks_per_group": 1}, peers.EAGER, "OpenVINO fp32"),
        small("espcn", {"width": 8}, peers.EAGER, "TorchScript fp32"),
    )
    monkeypatch.setattr(peers, "CASES", cases)
    monkeypatch.setattr("harness.cpu.SECONDS", 0.0)
    monkeypatch.setattr(peers.environment, "load", lambda: 0.0)
    return cases


def without(monkeypatch: pytest.MonkeyPatch, *libraries: str) -> None:
    find = engines.importlib.util.find_spec
    monkeypatch.setattr(engines.importlib.util, "find_spec", lambda name: None if name in libraries else find(name))


@pytest.mark.slow
def test_the_result_of_a_run(tiny: tuple[Case, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "new" / "peers.json"
    assert peers.main(["--quick", "--rounds", "1", "--goals", "--json", str(file)]) == 1
    out = capsys.readouterr().out
    assert "missed: edsr_baseline (depth=1) x2 12x10 fp32 against eager\n" in out
    assert str(tmp_path) not in out

    result = json.loads(file.read_text())
    assert result["schema"] == "srblocks.peers/1"
    assert {"cpu", "threads", "versions"} <= set(result["environment"])
    assert (result["failed"], result["missing_libraries"]) == ([], {})
    titles = [case.title for case in tiny]
    wanted = Counter()
    for title, case, names in zip(titles, tiny, (["torchsr"], ["torchsr", "spandrel"], [standings.PLAIN]), strict=True):
        labels = [each for each in case.engines if each not in result["missing_engines"] and "compile" not in each]
        wanted.update((title, name, label) for name in (*names, "srblocks") for label in labels)
        wanted.update({(title, standings.PLAIN, peers.EAGER)} - wanted.keys())
    rows = result["rows"]
    assert wanted == Counter(
        (row["network"], row["implementation"], f"{row['engine']} {row['precision']}") for row in rows
    )
    for row in rows:
        assert (row["scale"], row["size"], len(row["ms"]["rounds"])) == (2, "12x10", 1)
        assert (row["relative_error"] < 1e-4) == (row["precision"] == "fp32")
    references = [row for row in rows if row["relative_error"] == 0 and row["ratio_to_eager"] == 1]
    assert {row["network"] for row in references} >= {titles[0], titles[2]}

    contests = Counter(row["network"] for row in result["verdicts"])
    assert contests[titles[0]] >= contests[titles[1]] == contests[titles[2]] == 3
    outcomes = {row["contest"]: row["outcome"] for row in result["verdicts"] if row["network"] == titles[0]}
    assert (outcomes["fp32"], outcomes["fp32 against eager"]) == ("met", "missed")
    assert all(row["peer"]["implementation"] == standings.PLAIN for row in result["verdicts"][-3:])

    candidates, verdicts = (table.splitlines() for table in peers.markdown(result))
    assert len(candidates) == 2 + len(rows)
    assert len({line.count("|") for line in candidates}) == 1
    table = [line for line in verdicts if line.startswith("|")]
    assert len(table) == 2 + len(result["verdicts"])
    assert len({line.count("|") for line in table}) == 1
    assert f"- torchsr and spandrel have no espcn: the peer is {standings.PLAIN}" in verdicts
    assert any("writes into its input" in line for line in verdicts)
    (line,) = [one for one in standings.standings_markdown(result["verdicts"]).splitlines() if titles[0] in one]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:2] == [f"{titles[0]} x2", "12x10"]
    assert cells[2].endswith(" (goal 0.0)")
    assert cells[-2].endswith(" (misses 1000000000.0)")


def test_a_wrong_output_stops_the_run(tiny: tuple[Case, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "optimize", lambda net: create_network("edsr_baseline", scale=2, depth=1).eval())
    with pytest.raises(SystemExit, match="first peer's in eager fp32, srblocks in eager fp32: WRONG, "):
        peers.main(["--cases", "edsr", "--rounds", "1", "--engines", "eager"])


def test_a_missing_library_is_said(
    tiny: tuple[Case, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without(monkeypatch, "torchsr", "openvino")
    assert peers.main(["--rounds", "1", "--engines", "eager", "OpenVINO", "--cases", "edsr", "rcan"]) == 0
    out = capsys.readouterr().out
    assert "left out: torchsr is not installed: pip install torchsr\n" in out
    assert "left out: edsr_baseline-x2-12x10, whose peers are in torchsr\n" in out
    assert "left out: OpenVINO fp32, openvino is not installed\n" in out
    assert "| eager | fp32 | spandrel |" in out
    assert "| torchsr |" not in out
    without(monkeypatch, "torchsr", "spandrel")
    with pytest.raises(SystemExit, match="no case is left"):
        peers.main(["--cases", "edsr", "rcan"])


def test_an_engine_that_fails_leaves_the_others(
    tiny: tuple[Case, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(subject: engines.Subject) -> engines.Run:
        raise RuntimeError("no kernel\nand more")

    broken = engines.Engine("TorchScript", fail, {"cpu": ("fp32",)})
    monkeypatch.setitem(engines.ENGINES, "TorchScript", broken)
    assert peers.main(["--rounds", "1", "--cases", "espcn"]) == 0
    out = capsys.readouterr().out
    assert "left out: espcn-x2-12x10, srblocks in TorchScript fp32, RuntimeError: no kernel\n" in out
    assert "| eager | fp32 | srblocks |" in out
    monkeypatch.setitem(engines.ENGINES, "eager", engines.Engine("eager", fail, {"cpu": ("fp32",)}))
    with pytest.raises(SystemExit, match="srblocks, not optimized does not run: RuntimeError: no kernel"):
        peers.main(["--rounds", "1", "--cases", "espcn"])


def test_high_load_is_refused_or_said(
    tiny: tuple[Case, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--rounds", "1", "--cases", "espcn", "--engines", "eager"]
    assert peers.main([*options, "--strict"]) == 0
    monkeypatch.setattr(peers.environment, "load", lambda: 99.0)
    with pytest.raises(SystemExit, match="load average is 99.0 on"):
        peers.main([*options, "--strict"])
    assert peers.main(options) == 0
    assert "| noisy (load 99.0) |" in capsys.readouterr().out
    loads = iter([0.0, 0.0, 99.0, 99.0])
    monkeypatch.setattr(peers.environment, "load", lambda: next(loads))
    assert peers.main([*options, "--strict"]) == 1
