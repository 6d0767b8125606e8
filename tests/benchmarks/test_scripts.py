"""Small runs of latency.py, rewrites.py and peers.py. Durations are not tested."""

from pathlib import Path

import pytest
import torch
from PIL import Image

import backends
import cases
import latency
import measure
import peers
import rewrites
from backends import BACKENDS, Backend, Workload
from cases import Case
from devices import Device
from libraries import PEERS, Peer, PeerWorkload, peers_of, same_weights
from parity import random_network, relative_error
from record import Record
from srblocks import create_network, optimize
from srblocks.network import Network
from srblocks.networks import network_specs
from srblocks_export.config import ExportConfig
from srblocks_export.report import ArtifactReport

TINY = ["--networks", "fsrcnn-x2", "--shapes", "1x12x10", "--rounds", "1"]
SPECS = {spec.name: spec for spec in network_specs()}


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "SECONDS", 0.0)
    monkeypatch.setattr(latency, "measured_cpu", lambda threads: Device("test", {"fp32": 1e10, "bf16": 1e10}, 1e9))


def tiny_case(network: str, *labels: str, goals: dict[str, float] | None = None, **config: object) -> Case:
    return Case(network, 2, 12, 10, goals or {}, labels, config, quick=True)


def fail(workload: Workload) -> backends.Run:
    raise RuntimeError("no kernel\nand more")


def test_latency_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["eager", "channels_last", "TorchScript"]
    files = ["--json", str(tmp_path / "new" / "latency.json"), "--chart", str(tmp_path / "latency.png")]
    assert latency.main([*TINY, "--backends", *chosen, *files]) == 0
    record = Record.read(tmp_path / "new" / "latency.json")
    labels = [(row["implementation"], measure.label_of(row)) for row in record.rows]
    expected = [one.label for one in backends.configurations("cpu") if one.backend.name in chosen]
    assert labels == [("original", "eager fp32"), *(("optimized", label) for label in expected)]
    for row in record.rows:
        assert (row["relative_error"] < 1e-4) == (row["precision"] == "fp32")
        assert (row["artifact_bytes"] or 0) > 1000 or row["backend"] in ("eager", "channels_last")
        assert row["bound_ms"] > 0
        assert len(row["rounds"]) == 1
    assert record.rows[0]["speedup"] == 1.0
    out = capsys.readouterr().out
    assert "| fsrcnn x2 | 1x12x10 |" in out
    with Image.open(tmp_path / "latency.png") as chart:
        assert (chart.format, chart.width > 400) == ("PNG", True)
        assert len(chart.convert("RGB").getcolors(2**24) or []) > 50


def test_latency_skips_wrong_outputs_and_failing_backends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    correct = BACKENDS["channels_last"]
    wrong = Backend("channels_last", lambda workload: lambda: 1.01 * correct.build(workload)(), correct.precisions)
    monkeypatch.setitem(BACKENDS, "channels_last", wrong)
    monkeypatch.setitem(BACKENDS, "TorchScript", Backend("TorchScript", fail, {"cpu": ("fp32",)}))
    options = [*TINY, "--backends", "eager", "channels_last", "TorchScript", "--precisions", "fp32"]
    assert latency.main(options) == 1
    out = capsys.readouterr().out
    assert "skipped: fsrcnn x2, 1x12x10, optimized in channels_last fp32, WRONG, " in out
    assert "skipped: fsrcnn x2, 1x12x10, optimized in TorchScript fp32, RuntimeError: no kernel\n" in out
    assert "optimized in eager fp32: " in out


def test_failing_reference_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(BACKENDS, "eager", Backend("eager", fail, {"cpu": ("fp32",)}))
    with pytest.raises(SystemExit, match="nothing was measured"):
        latency.main([*TINY, "--backends", "channels_last"])
    assert "original in eager fp32, RuntimeError: no kernel" in capsys.readouterr().out


def test_rewrites_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    goals = {"eager fp32": 0.0, cases.LAYOUT: 1e9}
    case = tiny_case("fsrcnn", "eager fp32", "OpenVINO fp32", cases.LAYOUT, goals=goals, depth=1)
    monkeypatch.setattr(rewrites, "CASES", (case,))
    monkeypatch.setattr(rewrites, "MEMORY", (("fsrcnn", 2, None),))
    find = backends.importlib.util.find_spec
    monkeypatch.setattr(backends.importlib.util, "find_spec", lambda name: None if name == "openvino" else find(name))
    file = tmp_path / "rewrites.json"
    assert rewrites.main(["--rounds", "1", "--goals", "--json", str(file)]) == 1
    out = capsys.readouterr()
    assert "skipped: OpenVINO fp32, openvino is not installed" in out.out
    assert "missed: fsrcnn-x2-12x10 in channels_last vs. eager fp32: " in out.err
    record = Record.read(file)
    assert {(row["implementation"], measure.label_of(row)) for row in record.rows} == {
        (name, label) for name in ("original", "optimized") for label in ("eager fp32", "channels_last fp32")
    }
    assert record.parameters["memory"][0]["ratio"] > 0
    assert rewrites.main(["--rounds", "1", "--each", "--backends", "eager fp32"]) == 0
    applied = {decision.rewrite for decision in optimize(case.build()).rewrites.applied}
    out = capsys.readouterr().out
    assert all(f"without {name} in eager fp32: " in out for name in applied)


@pytest.mark.parametrize(
    "network,scale,goal",
    [pytest.param(*row, marks=pytest.mark.slow if row[0] != "edsr_baseline" else ()) for row in cases.MEMORY if row[2]],
)
def test_memory_goals(network: str, scale: int, goal: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewrites, "MEMORY", ((network, scale, goal),))
    (row,) = rewrites.memory_rows([tiny_case(network)])
    assert row["ratio"] >= goal


def test_peers_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = (
        tiny_case("edsr_baseline", "eager fp32", goals={"fp32": 0.0, "fp32 against eager": 1e9}, depth=1),
        tiny_case("rcan", "eager fp32", groups=1, blocks_per_group=1),
        tiny_case("espcn", "eager fp32", "TorchScript fp32", width=8),
    )
    monkeypatch.setattr(peers, "CASES", small)
    monkeypatch.setitem(BACKENDS, "TorchScript", Backend("TorchScript", fail, {"cpu": ("fp32",)}))
    file = tmp_path / "peers.json"
    assert peers.main(["--quick", "--rounds", "1", "--goals", "--json", str(file)]) == 1
    out = capsys.readouterr()
    assert "missed: edsr_baseline (depth=1) x2, 1x12x10, fp32 against eager: " in out.err
    assert "skipped: espcn-x2-12x10, srblocks in TorchScript fp32, RuntimeError: no kernel" in out.out
    record = Record.read(file)
    implementations = {
        network: {row["implementation"] for row in record.rows if row["network"].startswith(network)}
        for network in ("edsr", "rcan", "espcn")
    }
    ours = {peers.OURS, peers.OURS_ORIGINAL}
    assert implementations == {"edsr": {"torchsr", *ours}, "rcan": {"torchsr", "spandrel", *ours}, "espcn": ours}
    assert all(row["relative_error"] < 1e-4 for row in record.rows)
    assert f"torchsr and spandrel do not have espcn; the peer is {peers.OURS_ORIGINAL}" in record.notes

    find = backends.importlib.util.find_spec
    missing = ("torchsr", "spandrel")
    monkeypatch.setattr(backends.importlib.util, "find_spec", lambda name: None if name in missing else find(name))
    with pytest.raises(SystemExit, match="nothing was measured"):
        peers.main(["--cases", "edsr", "rcan"])
    assert "skipped: torchsr, torchsr is not installed: pip install torchsr\n" in capsys.readouterr().out


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: f"{peer.library}-{peer.network}")
def test_peers_compute_the_same_outputs(peer: Peer) -> None:
    reduced = {name: value for name, value in SPECS[peer.network].reduced.items() if name in peer.argument_names}
    for scale in {case.scale for case in peers.CASES if case.network == peer.network}:
        nets, net = same_weights([peer], scale, **reduced)
        other, lr = nets[peer.library], torch.rand(1, 3, 13, 17)
        before = lr.clone()
        with torch.inference_mode():
            sr = other(lr)
            assert torch.equal(lr, before)
            assert sr.shape == (1, 3, 13 * scale, 17 * scale)
            assert relative_error(net(lr), sr) < 1e-4
            for parameter in net.parameters():
                parameter.mul_(1.05)
            assert relative_error(net(lr), sr) > 1e-2
            other.net(lr)
        assert torch.equal(lr, before) != peer.writes_input


def test_exported_peers_compute_the_same_outputs(tmp_path: Path) -> None:
    (peer,) = [peer for peer in PEERS if peer.writes_input]
    net, lr = peer.build(2, groups=1, blocks_per_group=1), torch.rand(1, 3, 9, 10)
    with torch.no_grad():
        sr = net(lr)
        for name in ("TorchScript", "onnxruntime"):
            assert relative_error(BACKENDS[name].build(PeerWorkload(net, lr, tmp_path / name))(), sr) < 1e-4, name


def test_peers_have_the_same_parameter_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn.Conv2d, "reset_parameters", lambda layer: None)
    arguments = {"vdsr": {"image_channels": 3, "mean_shift": True}}
    arguments |= {name: {"scales": [2, 3, 4]} for name in ("carn", "carn_m")}
    for peer in PEERS:
        with torch.device("meta"):
            ours = create_network(peer.network, scale=4, **arguments.get(peer.network, {}))
        shapes = [sorted(p.shape for p in net.parameters() if p.requires_grad) for net in (peer.build(4), ours)]
        assert shapes[0] == shapes[1], (peer.library, peer.network)


def test_all_peers_of_a_network_have_the_same_weights() -> None:
    nets, _ = same_weights(peers_of("rcan"), 2, groups=1, blocks_per_group=1)
    assert list(nets) == ["torchsr", "spandrel"]
    first, other = (net.net.state_dict() for net in nets.values())
    assert first.keys() == other.keys()
    assert all(torch.equal(first[name], other[name]) for name in first)


def test_cases_have_valid_backends_and_goals() -> None:
    cpu, cuda = ({one.label for one in backends.configurations(device)} for device in ("cpu", "cuda"))
    for found, labels in ((cases.CASES, cpu), (cases.CUDA_CASES, cuda), (peers.CASES, cpu)):
        assert len({case.name for case in found}) == len(found)
        assert all(set(case.backends) <= {*labels, cases.LAYOUT} for case in found)
    assert all(set(case.goals) <= set(case.backends) for case in cases.CASES)
    assert all(set(case.goals) == {one.name for one in peers.COMPARISONS} for case in peers.CASES)


def test_exports_match_the_workload(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    configs: list[ExportConfig] = []

    def export(net: Network, config: ExportConfig) -> list[ArtifactReport]:
        configs.append(config)
        return [ArtifactReport(format=name, path=tmp_path / f"a.{name}") for name in ("onnx", *config.formats)]

    monkeypatch.setattr(backends, "export_network", export)
    workload = Workload(random_network("fsrcnn_s", 2), torch.rand(1, 1, 8, 8), tmp_path, "fp16", "cuda", tf32=True)
    assert workload.file("trt") == workload.file("trt") == tmp_path / "a.trt"
    plain = Workload(workload.net, workload.lr, tmp_path, device="cuda")
    for fmt in ("aoti", "torchscript"):
        plain.file(fmt)
    assert [config.device for config in configs[1:]] == ["cuda", "cpu"]
    assert (configs[0].precision, configs[0].shape) == ("fp16", (1, 1, 8, 8))


def test_cuda_times_are_measured_between_events_and_with_transfers(
    fake_cuda: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", lambda net, **options: None)
    net = Case("fsrcnn", 2, 8, 8).build()
    nets = {"original": net, "optimized": optimize(net)}
    labels = ["channels_last fp32", "CUDA graph fp16", "compile fp16"]
    candidates = [(name, label) for label in labels for name in nets]
    rows, skipped = measure.measure(nets, torch.rand(1, 1, 8, 8), candidates, about={}, device="cuda", rounds=3)
    assert len(rows) == 1 + 4
    for row in rows:
        assert row["rounds"] == [2.0] * 3
        assert row["wall_ms"]["min"] > 0
        assert row["end_to_end_ms"]["min"] > 0
        assert row["memory_bytes"] == 2 * 10**5
    assert skipped["original in compile fp16"].startswith("TypeError")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is available")
def test_cuda_requires_a_device() -> None:
    with pytest.raises(SystemExit, match="PyTorch finds no CUDA device"):
        rewrites.main(["--device", "cuda"])
