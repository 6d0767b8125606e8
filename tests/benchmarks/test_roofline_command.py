"""The roofline.py command."""

from pathlib import Path

import pytest

import roofline
from record import Record
from srblocks.networks import network_specs


def test_table_and_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "roofline.json"
    arguments = ["--networks", "srresnet-x4", "fsrcnn", "--output", "1280x720", "--optimized", "--json", str(file)]
    assert roofline.main(arguments) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "NVIDIA H100 SXM: fp16 790 TFLOP/s, 3000 GB/s"
    assert "| srresnet | x4 | 180x320 | 127.8 | 8.6 | 108 | 323.5 | 370.5 | 896.4 | 1.15 | 2.42 | 0.68 |" in out
    assert [line.split(" | ")[:3] for line in out[6:10]] == [
        ["| fsrcnn", "x2", "360x640"],
        ["| fsrcnn, optimized", "x2", "360x640"],
        ["| fsrcnn", "x3", "240x426"],
        ["| fsrcnn, optimized", "x3", "240x426"],
    ]
    assert len({line.count("|") for line in out[2:12]}) == 1
    record = Record.read(file)
    assert record.parameters["device"]["flops"]["fp16"] == 790e12
    assert len(record.rows) == 2 * 4
    row = record.rows[0]
    assert (row["network"], row["scale"], row["optimized"], row["size"]) == ("srresnet", 4, False, [180, 320])
    assert set(row["bounds"]) == {"layered", "epilogue", "fused", "memory_share"}


def test_default_networks_and_their_input_sizes() -> None:
    rows = roofline.chosen(roofline.DOCUMENTED)
    assert len(rows) == len(roofline.DOCUMENTED) == 22
    assert len(roofline.chosen(["all"])) == sum(len(spec.scales) for spec in network_specs())
    for spec, scale in roofline.chosen(["csnln", "san"]):
        multiple = spec.size_requirements[scale].size_multiple
        height, width = roofline.input_size(spec, scale, (1279, 719))
        assert height % multiple == width % multiple == 0
        assert 719 - scale * multiple < scale * height <= 719


def test_devices(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("devices.SECONDS", 0.0)
    small = ["--networks", "espcn-x2", "--output", "64x48"]
    assert roofline.main([*small, "--flops", "330e12", "--bandwidth", "1008e9", "--precision", "bf16"]) == 0
    assert capsys.readouterr().out.startswith("custom device: bf16 330 TFLOP/s, 1008 GB/s\n")
    assert roofline.main([*small, "--device", "cpu", "--precision", "fp32"]) == 0
    assert "1 thread: fp32 " in capsys.readouterr().out


def test_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (["--device", "v100"], "unknown device 'v100'; available: h100, .*, cpu, or --flops with"),
        (["--device", "t4", "--precision", "bf16"], "NVIDIA T4: no FLOP/s in bf16; available: fp32, fp16"),
        (["--networks", "edsr-x5"], "unknown network 'edsr-x5'; closest: edsr-x"),
        (["--networks", "???"], r"unknown network '\?\?\?'; closest: rcan-x4, rcan, all"),
        (["--flops", "1e12"], "--flops and --bandwidth must be given together"),
        (["--flops", "1e12", "--bandwidth", "1e9", "--device", "h100"], "together and without --device"),
        (["--flops", "-1", "--bandwidth", "1e9"], "custom device: fp16=-1 must be positive"),
        (["--networks", "san-x8", "--output", "32x32"], "san-x8: 32x32 is too small; the smallest output is 64"),
        (["--device", "cpu", "--threads", "0"], "threads must be >= 1, got 0"),
    ):
        with pytest.raises(SystemExit, match=f"^roofline.py: .*{message}"):
            roofline.main(arguments)
    with pytest.raises(SystemExit):
        roofline.main(["--output", "720p"])
    assert "expected WxH, such as 1280x720, got '720p'" in capsys.readouterr().err
