"""Artifacts that would run code or read other files: each is rejected, and nothing is executed."""

import io
import json
import pickle
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch

from helpers.hostile import Payload, assert_rejected, records_of, zipped
from srblocks_export.formats.torch_export.program import check_expression

Records = dict[str, bytes]


def record_name(records: Records, name: str) -> str:
    (found,) = (each for each in records if each.endswith(name))
    return found


def pickled_inputs(records: Records, mark: Path) -> str:
    records[record_name(records, "sample_inputs/model.pt")] = pickle.dumps(Payload(mark))
    return "example inputs must be tensors"


def pickled_weights(records: Records, mark: Path) -> str:
    name = record_name(records, "model_weights_config.json")
    config = json.loads(records[name])
    first = next(iter(config["config"].values()))
    first["use_pickle"] = True
    stream = io.BytesIO()
    torch.save(Payload(mark), stream)
    records[name] = json.dumps(config).encode()
    records[record_name(records, f"weights/{first['path_name']}")] = stream.getvalue()
    return "contains pickled weights"


def pickled_constants(records: Records, mark: Path) -> str:
    name = record_name(records, "model_constants_config.json")
    payload = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
    records[name] = json.dumps({"config": {"x": payload}}).encode()
    records[name.replace("model_constants_config.json", "opaque_obj_0")] = pickle.dumps(Payload(mark))
    return "opaque_obj_0', which no export writes"


def evaluated_size(records: Records, mark: Path) -> str:
    name = record_name(records, "models/model.json")
    before, _, rest = records[name].decode().partition('"expr_str": "')
    code = f"__import__('pathlib').Path('{mark}').touch()"
    records[name] = f'{before}"expr_str": "{code}{rest[rest.index(chr(34)) :]}'.encode()
    return "evaluates"


def evaluated_guard(records: Records, mark: Path) -> str:
    name = record_name(records, "models/model.json")
    program = json.loads(records[name])
    program["guards_code"] = [f"open('{mark}', 'w')"]
    records[name] = json.dumps(program).encode()
    return "evaluates"


def called_function(records: Records, mark: Path) -> str:
    name = record_name(records, "models/model.json")
    program = json.loads(records[name])
    call = {"name": "path", "arg": {"as_string": str(mark)}, "kind": 1}
    node = {"target": "torch.os.mkdir", "inputs": [call], "outputs": [], "metadata": {}}
    program["graph_module"]["graph"]["nodes"].insert(0, node)
    records[name] = json.dumps(program).encode()
    return "calls 'torch.os.mkdir'"


def imported_class(records: Records, mark: Path) -> str:
    name = record_name(records, "models/model.json")
    (mark.parent / "imported_by_a_program.py").write_text(f"open({str(mark)!r}, 'w')")
    context = json.dumps({"__enum__": True, "fqn": "imported_by_a_program:A", "name": "B"})
    spec = [1, {"type": "builtins.dict", "context": context, "children_spec": []}]
    program = json.loads(records[name])
    program["graph_module"]["module_call_graph"][0]["signature"]["in_spec"] = json.dumps(spec)
    records[name] = json.dumps(program).encode()
    return "takes or returns 'builtins.dict'"


ATTACKS = (
    *(pickled_inputs, pickled_weights, pickled_constants, evaluated_size, evaluated_guard, called_function),
    imported_class,
)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_programs_execute_only_tensor_operations(
    good: dict[str, Path],
    tmp_path: Path,
    tally: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
    attack: Callable[[Records, Path], str],
) -> None:
    tally["malicious files"] += 1
    monkeypatch.syspath_prepend(tmp_path)
    records, path = records_of(good["pt2"]), tmp_path / "hostile.pt2"
    message = attack(records, tmp_path / "executed")
    path.write_bytes(zipped(records))
    assert_rejected(path, message)
    assert not (tmp_path / "executed").exists()


def is_rejected(expression: str) -> bool:
    try:
        check_expression(expression)
    except (ValueError, SyntaxError):
        return True
    return False


def test_only_arithmetic_on_sizes_is_evaluated() -> None:
    code = ["eval('1')", "().__class__", "[1]", "lambda: 1", "'lr'.x", "2**9", "L['a']", "s1 if s1 else s2", "f'{1}'"]
    assert [expression for expression in (*code, f"{2**64}") if not is_rejected(expression)] == []
    check_expression("Mul(Integer(4), Symbol('s73', positive=True, integer=True)) + 2*s40//3")
    check_expression("((L['lr'].size()[2] // 2)*(L['lr'].size()[3] % 2)) != -1 and 1 <= s1")
    check_expression("(1 % max(1, L['lr'].size()[2] // 2)) == 0")  # torch 2.11


class Saving(torch.nn.Module):
    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        torch.save(lr, self.place)
        return lr


class SavingOnLoad(torch.nn.Module):
    """Module whose code runs while it is loaded."""

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.place, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        torch.save(torch.zeros(1), state[0])
        self.place, self.training = state

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        return lr


@pytest.mark.parametrize(
    "kind,message",
    [(Saving, "calls aten::save, which no export"), (SavingOnLoad, "contains code that runs while loading")],
)
def test_torchscript_that_writes_files_is_rejected(
    good: dict[str, Path], tmp_path: Path, tally: Counter[str], kind: type, message: str
) -> None:
    tally["malicious files"] += 1
    torch.jit.save(torch.jit.script(kind(str(tmp_path / "written"))), tmp_path / "written.ts")
    (tmp_path / "hostile.ts").write_bytes(zipped(records_of(tmp_path / "written.ts")))
    assert_rejected(tmp_path / "hostile.ts", message)
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize("place", ["weights.bin", "../secret.bin", "/etc/passwd"])
def test_onnx_with_external_files_is_rejected(good: dict[str, Path], tmp_path: Path, place: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    model = onnx.load(good["onnx"])
    weight = max(model.graph.initializer, key=lambda each: len(each.raw_data))
    for file in (folder / "weights.bin", tmp_path / "secret.bin"):
        file.write_bytes(weight.raw_data)
    onnx.external_data_helper.set_external_data(weight, location=place, offset=0, length=len(weight.raw_data))
    weight.ClearField("raw_data")
    (folder / "external.onnx").write_bytes(model.SerializeToString())
    assert_rejected(folder / "external.onnx")
