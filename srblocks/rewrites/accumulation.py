"""Convolutions of a concatenation become sums of convolutions of its parts, so that it is never made.

A convolution is linear in its input channels: ``conv(cat(a, b)) = conv_a(a) + conv_b(b)``. The outputs of a chain of
blocks are then added up as they arise, and need not be kept.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from ..blocks import FeatureFusion, MemoryBlock
from ..frameworks import IterativeUpsampling
from ..upsampling import DownProjection, UpProjection
from .context import RewriteContext, is_exactly, record_shapes
from .convolutions import with_weights
from .unrolling import layers_of_runs

NAME = "accumulation"


def split_conv(conv: nn.Conv2d, widths: Sequence[int]) -> nn.ModuleList:
    """Give convolutions whose outputs on the parts of a concatenation add up to that of `conv`.

    Args:
        conv: an ungrouped convolution of the concatenation; its bias goes to the first part.
        widths: channels of the parts.
    """
    weights = conv.weight.split(list(widths), 1)
    return nn.ModuleList(with_weights(conv, weight, None if i else conv.bias) for i, weight in enumerate(weights))


class SumOfConvs(nn.Module):
    """Sum of one convolution per tensor of a list: a convolution of their concatenation.

    Args:
        parts: convolutions, see `split_conv`.
    """

    def __init__(self, parts: nn.ModuleList) -> None:
        super().__init__()
        self.first = parts[0]
        self.others = parts[1:]

    def forward(self, tensors: list[Tensor]) -> Tensor:
        """Add up what the convolutions make of the tensors."""
        total = self.first(tensors[0])
        for i, part in enumerate(self.others):
            total = total + part(tensors[i + 1])
        return total


class AccumulatedFusion(nn.Module):
    """A `FeatureFusion` that adds up what the fusing convolution makes of each block's output.

    Args:
        blocks: modules features to features, two or more.
        parts: one convolution per block, see `split_conv`.
        behind: what follows the fusing convolution.
    """

    def __init__(self, blocks: Sequence[nn.Module], parts: nn.ModuleList, behind: nn.Module) -> None:
        super().__init__()
        self.first = blocks[0]
        self.first_part = parts[0]
        self.blocks = nn.ModuleList(blocks[1:])
        self.parts = parts[1:]
        self.behind = behind

    def forward(self, x: Tensor) -> Tensor:
        """Run the blocks on the features ``x`` and fuse their outputs."""
        x = self.first(x)
        total = self.first_part(x)
        for block, part in zip(self.blocks, self.parts):  # noqa: B905 (torch.jit.script knows no strict=)
            x = block(x)
            total = total + part(x)
        return self.behind(total)


class AccumulatedMemory(nn.Module):
    """A `MemoryBlock` whose gate unit adds up its sources, each run's output as soon as it is there.

    Args:
        runs: the layers of each run of the recursive unit.
        gates: normalization, activation and convolution of each source: the memories, then the runs.
    """

    def __init__(self, runs: Sequence[nn.Module], gates: Sequence[nn.Module]) -> None:
        super().__init__()
        memories = len(gates) - len(runs)
        self.newest = gates[memories - 1]
        self.memories = nn.ModuleList(gates[: memories - 1])
        self.runs = nn.ModuleList(runs)
        self.gates = nn.ModuleList(gates[memories:])

    def forward(self, memories: list[Tensor]) -> Tensor:
        """Give the next memory."""
        x = memories[-1]
        total = self.newest(x)
        for i, gate in enumerate(self.memories):
            total = total + gate(memories[i])
        for run, gate in zip(self.runs, self.gates):  # noqa: B905 (torch.jit.script knows no strict=)
            x = x + run(x)
            total = total + gate(x)
        return total


def rewrite(bench: RewriteContext) -> None:
    """Rewrite every fusion of features, every memory block, and the densely connected projections."""
    for path, module in bench.modules():
        if is_exactly(module, FeatureFusion):
            _rewrite_fusion(bench, path, module)
        elif is_exactly(module, MemoryBlock):
            _rewrite_memory(bench, path, module)
        elif is_exactly(module, IterativeUpsampling):
            _rewrite_projections(bench, path, module)


def _rewrite_fusion(bench: RewriteContext, path: str, fusion: FeatureFusion) -> None:
    blocks = list(fusion.blocks)
    layers = list(fusion.fuse) if is_exactly(fusion.fuse, nn.Sequential) else [fusion.fuse]
    conv = layers[0]
    widths = _widths(bench, path, [f"blocks.{i}" for i in range(len(blocks))])
    if len(blocks) < 2 or widths is None or not is_exactly(conv, nn.Conv2d) or not _splits(conv, widths):
        bench.declined(NAME, path, "no ungrouped convolution of two or more blocks' outputs")
        return
    parts = split_conv(conv, widths)
    bench.substitute(fusion, AccumulatedFusion(blocks, parts, nn.Sequential(*layers[1:])))
    bench.applied(NAME, path, "outputs added up as they arise")


def _rewrite_memory(bench: RewriteContext, path: str, block: MemoryBlock) -> None:
    runs = layers_of_runs(block.recursive)
    norm, act, conv = block.gate
    splits = is_exactly(norm, nn.BatchNorm2d) or is_exactly(norm, nn.Identity)
    if runs is None or block.recursive.skip != "previous" or not splits or not is_exactly(conv, nn.Conv2d):
        bench.declined(NAME, path, "its recursion or its gate is of another kind")
        return
    sources = conv.in_channels // conv.out_channels
    parts = split_conv(conv, [conv.out_channels] * sources)
    gates = [nn.Sequential(part, act, gate) for part, gate in zip(_split_norm(norm, sources), parts, strict=True)]
    bench.substitute(block, AccumulatedMemory(runs, gates))
    bench.applied(NAME, path, "sources added up as they arise")


def _rewrite_projections(bench: RewriteContext, path: str, net: IterativeUpsampling) -> None:
    at = f"{path}.".lstrip(".")
    count = len(net.downs)
    highs = _widths(bench, path, ["first", *(f"ups.{i}" for i in range(count))])
    lows = _widths(bench, path, [f"downs.{i}" for i in range(count)])
    joined = [("tail_join", "tail", highs)]
    for i in range(1, count):
        if is_exactly(net.downs[i], DownProjection) and is_exactly(net.ups[i], UpProjection):
            joined.append((f"down_joins.{i}", f"downs.{i}.bottleneck.0", highs))
            joined.append((f"up_joins.{i}", f"ups.{i}.bottleneck.0", lows))
    for join, joined_conv, widths in joined:
        conv = net.get_submodule(joined_conv)
        width = widths[0] if widths and len(set(widths)) == 1 else 0
        parts = [width] * (conv.in_channels // width) if is_exactly(conv, nn.Conv2d) and width else []
        if not is_exactly(conv, nn.Conv2d) or not _splits(conv, parts):
            bench.declined(NAME, at + join, "no ungrouped convolution of maps of one width")
            continue
        bench.put(at + join, SumOfConvs(split_conv(conv, parts)))
        bench.put(at + joined_conv, nn.Identity())
        bench.applied(NAME, at + join, "a sum of convolutions of the parts")


def _widths(bench: RewriteContext, path: str, names: Sequence[str]) -> list[int] | None:
    """Give the channels that modules below `path` put out; None where that is not plain."""
    shapes = record_shapes(bench.net, max(bench.net.min_size, 8))
    paths = [f"{path}.{name}".lstrip(".") for name in names]
    return [shapes[each][1][1] for each in paths] if all(each in shapes for each in paths) else None


def _splits(conv: nn.Conv2d, widths: Sequence[int]) -> bool:
    """Tell whether `split_conv` can split a convolution so."""
    return conv.groups == 1 and conv.in_channels == sum(widths)


def _split_norm(norm: nn.Module, count: int) -> list[nn.Module]:
    """Split a normalization of a concatenation of `count` maps of one width."""
    if not isinstance(norm, nn.BatchNorm2d):
        return [nn.Identity() for _ in range(count)]
    parts: list[nn.Module] = []
    state = {name: value for name, value in norm.state_dict().items() if value.ndim}
    for i in range(count):
        width = norm.num_features // count
        part = nn.BatchNorm2d(width, norm.eps, None, norm.affine, norm.track_running_stats).eval()
        held = {name: value[i * width : (i + 1) * width] for name, value in state.items()}
        part.load_state_dict(held, strict=False, assign=True)
        parts.append(part)
    return parts
