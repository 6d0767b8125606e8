"""Replace the convolution of a concatenation by a sum of convolutions of its parts, without the concatenation.

A convolution is linear in its input channels: ``conv(cat(a, b)) = conv_a(a) + conv_b(b)``. The outputs of consecutive
blocks are then accumulated one by one and need not be kept.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from ..blocks import FeatureFusion, MemoryBlock
from ..frameworks import IterativeUpsampling
from ..upsampling import DownProjection, UpProjection
from .context import RewriteContext
from .convolutions import with_weights
from .matching import is_exactly, record_shapes
from .unrolling import layers_per_recursion

NAME = "accumulation"


def split_conv(conv: nn.Conv2d, widths: Sequence[int]) -> nn.ModuleList:
    """Split `conv` into one convolution per part of its concatenated input; their outputs add up to that of `conv`.

    Args:
        conv: an ungrouped convolution of the concatenation; its bias goes to the first part.
        widths: number of channels of each part.
    """
    weights = conv.weight.split(list(widths), 1)
    return nn.ModuleList(with_weights(conv, weight, None if i else conv.bias) for i, weight in enumerate(weights))


class SumOfConvs(nn.Module):
    """Sum of one convolution per tensor of a list, equal to a convolution of their concatenation.

    Args:
        parts: convolutions, see `split_conv`.
    """

    def __init__(self, parts: nn.ModuleList) -> None:
        super().__init__()
        self.first = parts[0]
        self.others = parts[1:]

    def forward(self, tensors: list[Tensor]) -> Tensor:
        """Return the sum of the convolved tensors."""
        total = self.first(tensors[0])
        for i, part in enumerate(self.others):
            total = total + part(tensors[i + 1])
        return total


class AccumulatedFusion(nn.Module):
    """A `FeatureFusion` that accumulates the fusing convolution block by block.

    Args:
        blocks: two or more modules, features to features.
        parts: one convolution per block, see `split_conv`.
        after: the layers after the fusing convolution.
    """

    def __init__(self, blocks: Sequence[nn.Module], parts: nn.ModuleList, after: nn.Module) -> None:
        super().__init__()
        self.first = blocks[0]
        self.first_part = parts[0]
        self.blocks = nn.ModuleList(blocks[1:])
        self.parts = parts[1:]
        self.after = after

    def forward(self, x: Tensor) -> Tensor:
        """Run the blocks on the features ``x`` and fuse their outputs."""
        x = self.first(x)
        total = self.first_part(x)
        for block, part in zip(self.blocks, self.parts):  # noqa: B905 (torch.jit.script knows no strict=)
            x = block(x)
            total = total + part(x)
        return self.after(total)


class AccumulatedMemory(nn.Module):
    """A `MemoryBlock` whose gate unit accumulates its sources, each recursion output as soon as it is computed.

    Args:
        runs: the layers of each step of the recursive unit.
        gates: normalization, activation and convolution of each source: first the memories, then the steps.
    """

    def __init__(self, runs: Sequence[nn.Module], gates: Sequence[nn.Module]) -> None:
        super().__init__()
        memories = len(gates) - len(runs)
        self.newest = gates[memories - 1]
        self.memories = nn.ModuleList(gates[: memories - 1])
        self.runs = nn.ModuleList(runs)
        self.gates = nn.ModuleList(gates[memories:])

    def forward(self, memories: list[Tensor]) -> Tensor:
        """Return the next memory."""
        x = memories[-1]
        total = self.newest(x)
        for i, gate in enumerate(self.memories):
            total = total + gate(memories[i])
        for run, gate in zip(self.runs, self.gates):  # noqa: B905 (torch.jit.script knows no strict=)
            x = x + run(x)
            total = total + gate(x)
        return total


def rewrite(context: RewriteContext) -> None:
    """Rewrite every feature fusion, every memory block and the densely connected projections."""
    for path, module in context.modules():
        if is_exactly(module, FeatureFusion):
            _rewrite_fusion(context, path, module)
        elif is_exactly(module, MemoryBlock):
            _rewrite_memory(context, path, module)
        elif is_exactly(module, IterativeUpsampling):
            _rewrite_projections(context, path, module)


def _rewrite_fusion(context: RewriteContext, path: str, fusion: FeatureFusion) -> None:
    blocks = list(fusion.blocks)
    layers = list(fusion.fuse) if is_exactly(fusion.fuse, nn.Sequential) else [fusion.fuse]
    conv = layers[0]
    widths = _widths(context, path, [f"blocks.{i}" for i in range(len(blocks))])
    if len(blocks) < 2 or widths is None or not is_exactly(conv, nn.Conv2d) or not _splits(conv, widths):
        context.declined(NAME, path, "requires an ungrouped convolution of the outputs of two or more blocks")
        return
    parts = split_conv(conv, widths)
    context.replace_all(fusion, AccumulatedFusion(blocks, parts, nn.Sequential(*layers[1:])))
    context.applied(NAME, path, "block outputs accumulated one by one")


def _rewrite_memory(context: RewriteContext, path: str, block: MemoryBlock) -> None:
    runs = layers_per_recursion(block.recursive)
    norm, act, conv = block.gate
    splits = is_exactly(norm, nn.BatchNorm2d) or is_exactly(norm, nn.Identity)
    if runs is None or block.recursive.skip != "previous" or not splits or not is_exactly(conv, nn.Conv2d):
        context.declined(NAME, path, "unsupported recursion or gate")
        return
    sources = conv.in_channels // conv.out_channels
    parts = split_conv(conv, [conv.out_channels] * sources)
    gates = [nn.Sequential(part, act, gate) for part, gate in zip(_split_norm(norm, sources), parts, strict=True)]
    context.replace_all(block, AccumulatedMemory(runs, gates))
    context.applied(NAME, path, "gate sources accumulated one by one")


def _rewrite_projections(context: RewriteContext, path: str, net: IterativeUpsampling) -> None:
    prefix = f"{path}.".lstrip(".")
    count = len(net.downs)
    highs = _widths(context, path, ["first", *(f"ups.{i}" for i in range(count))])
    lows = _widths(context, path, [f"downs.{i}" for i in range(count)])
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
            context.declined(NAME, prefix + join, "requires an ungrouped convolution of feature maps of one width")
            continue
        context.replace(prefix + join, SumOfConvs(split_conv(conv, parts)))
        context.replace(prefix + joined_conv, nn.Identity())
        context.applied(NAME, prefix + join, "sum of convolutions of the parts")


def _widths(context: RewriteContext, path: str, names: Sequence[str]) -> list[int] | None:
    """Return the output channels of modules below `path`; None if they are unknown."""
    shapes = record_shapes(context.net, max(context.net.min_size, 8))
    paths = [f"{path}.{name}".lstrip(".") for name in names]
    return [shapes[path][1][1] for path in paths] if all(path in shapes for path in paths) else None


def _splits(conv: nn.Conv2d, widths: Sequence[int]) -> bool:
    """Return whether `split_conv` can split a convolution into parts of these widths."""
    return conv.groups == 1 and conv.in_channels == sum(widths)


def _split_norm(norm: nn.Module, count: int) -> list[nn.Module]:
    """Split the normalization of a concatenation of `count` feature maps of equal width."""
    if not isinstance(norm, nn.BatchNorm2d):
        return [nn.Identity() for _ in range(count)]
    parts: list[nn.Module] = []
    state = {name: value for name, value in norm.state_dict().items() if value.ndim}
    for i in range(count):
        width = norm.num_features // count
        part = nn.BatchNorm2d(width, norm.eps, None, norm.affine, norm.track_running_stats).eval()
        part_state = {name: value[i * width : (i + 1) * width] for name, value in state.items()}
        part.load_state_dict(part_state, strict=False, assign=True)
        parts.append(part)
    return parts
