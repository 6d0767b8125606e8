"""Draw a module as SVG, for light and dark pages.

Boxes are modules; a box widens or narrows to the right when its output has more or fewer pixels than its input. Dots
combine tensors: arithmetic signs, and c for concatenation. Dashed elements are optional.
"""

import math
import re
from collections.abc import Iterator
from xml.sax.saxutils import escape

from .nodes import TIMES, Figure, Node, growth, rows_of
from .tracing import indexed, nodes_of

WIDTHS = {"box": 82, "dot": 22, "end": 44}
GAP, MARGIN, RISE = 26, 14, 13
STYLE = """\
text{font:13px system-ui,"Segoe UI",Helvetica,Arial,sans-serif;fill:#1f2328;text-anchor:middle}
.small{font-size:10px;fill:#59636e}
.card{fill:#fff;stroke:#d1d9e0}
.frame{fill:none;stroke:#818b98;stroke-dasharray:2 3}
.line{fill:none;stroke:#59636e;stroke-width:1.4}
.optional{stroke-dasharray:5 3}
.tip{fill:#59636e}
.dot{fill:#fff;stroke:#59636e;stroke-width:1.4}
.keep{fill:#ddf4ff;stroke:#0969da}
.up{fill:#fff1d6;stroke:#bc6c00}
.down{fill:#dafbe1;stroke:#1a7f37}
@media(prefers-color-scheme:dark){
text{fill:#f0f6fc}.small{fill:#b1bac4}.card{fill:#0d1117;stroke:#3d444d}.frame{stroke:#656c76}
.line{stroke:#b1bac4}.tip{fill:#b1bac4}.dot{fill:#0d1117;stroke:#b1bac4}
.keep{fill:#0c2d6b;stroke:#58a6ff}.up{fill:#5a3600;stroke:#e3a04d}.down{fill:#0f4620;stroke:#3fb950}
}"""
TIP = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>'
)
Point = tuple[float, float]


class Sheet:
    """A figure: the positions of its nodes, and its SVG.

    A line to a node of the same lane with others in between is a skip connection. It runs above the lane, or below it
    if it starts at a box that narrows.
    """

    def __init__(self, figure: Figure) -> None:
        self.nodes = nodes_of(figure)
        self.optional = re.compile(figure.optional)
        self.title = figure.title
        self.rows = min((rows_of(node) for node in self.nodes if node.kind == "end" and rows_of(node)), default=1)
        self.least = min((rows_of(node) for node in self.nodes if rows_of(node)), default=1)
        self.heights = self._skip_heights()
        skips = dict.fromkeys((True, False), 0)
        for source, height in self.heights.items():
            skips[narrows(source)] = max(skips[narrows(source)], height + 1)
        tallest = max(map(self._side, self.nodes))
        self.over, self.under = tallest / 2 + 6, tallest / 2 + 20
        right = float(MARGIN)
        for column in sorted({node.column for node in self.nodes}):
            inside = [node for node in self.nodes if node.column == column]
            width = max(map(width_of, inside))
            for node in inside:
                node.x = right + width / 2
                node.y = MARGIN + self.over + RISE * skips[False] + node.lane * (tallest + 46 + RISE * skips[True])
            right += width + GAP
        self.width = right - GAP + MARGIN
        framed = 20 if any(node.frame for node in self.nodes) else 8
        self.height = max(node.y for node in self.nodes) + self.under + RISE * skips[True] + framed

    def _skips(self, node: Node) -> list[Node]:
        """Return the users of a node that are separated from it by other nodes of its lane."""
        columns = [other.column for other in self.nodes if other.lane == node.lane]
        users = [user for user in self.nodes if node in user.sources and user.lane == node.lane]
        return [user for user in users if any(node.column < column < user.column for column in columns)]

    def _blocked(self, source: Node, node: Node) -> bool:
        """Whether a line along the lane of the source would run into another node."""
        columns = range(source.column + 1, node.column + 1)
        return any(other.lane == source.lane and other.column in columns for other in self.nodes)

    def _skip_heights(self) -> dict[Node, int]:
        """Return a free height for the skips of each node, lowest for the shortest."""
        ends = {node: max(user.column for user in skips) for node in self.nodes if (skips := self._skips(node))}
        heights: dict[Node, int] = {}
        for node in sorted(ends, key=lambda node: ends[node] - node.column):
            taken = {
                height
                for other, height in heights.items()
                if (other.lane, narrows(other)) == (node.lane, narrows(node))
                and other.column < ends[node]
                and node.column < ends[other]
            }
            heights[node] = next(height for height in range(len(ends)) if height not in taken)
        return heights

    def _side(self, node: Node) -> float:
        """Return the height of a box on the side of these features."""
        return 34 + 20 * growth(node, self.least)

    def _size(self, node: Node) -> str:
        """Return channels and size, such as 64x2Hx2W."""
        if len(node.shape) != 4 or node.shape[2] != node.shape[3]:
            return ""
        ratio = node.shape[2] / self.rows
        if not rows_of(node):
            sides = ["1", "1"]
        elif ratio >= 1:
            sides = [f"{ratio:g}{side}" if ratio > 1 else side for side in "HW"]
        else:
            sides = [f"{side}/{1 / ratio:g}" for side in "HW"]
        return TIMES.join([str(node.shape[1]), *sides])

    def _line(self, source: Node, node: Node) -> str:
        """Draw the line from one node to another."""
        start, end = (source.x + _reach(source), source.y), (node.x - _reach(node) - 1, node.y)
        leave = start[0] + GAP * 0.35
        aside = source.lane != node.lane
        if node in self._skips(source):
            sign = 1 if narrows(source) else -1
            bus = source.y + sign * ((self.under if sign > 0 else self.over) + RISE * self.heights[source])
            touch = 12.0 if node.kind == "dot" else self._side(node.sources[0]) / 2 + 1
            points = [start, (leave, source.y), (leave, bus), (node.x, bus), (node.x, node.y + sign * touch)]
            aside = True
        elif aside and node.kind == "dot" and not self._blocked(source, node):
            points = [start, (node.x, source.y), (node.x, node.y + math.copysign(12, source.y - node.y))]
        elif aside:
            points = [start, (leave, source.y), (leave, node.y), end]
        else:
            points = [start, end]
        aside = aside or source.lane > 0
        optional = aside and any(self.optional.fullmatch(each.name) for each in (source, node))
        return f'<path class="line{" optional" * optional}" d="{_rounded(points)}" marker-end="url(#tip)"/>'

    def _drawn(self, node: Node) -> Iterator[str]:
        """Draw a node and the size of its output."""
        x, y, reach, low, lift = node.x, node.y, _reach(node), node.y + 22, 4.5
        if node.kind == "dot":
            yield f'<circle class="dot" cx="{x:g}" cy="{y:g}" r="{reach:g}"/>'
        elif node.kind == "box":
            left, right = self._side(node.sources[0]) / 2, self._side(node) / 2
            if not (rows_of(node) and rows_of(node.sources[0])):
                left = right = 17
            kind = "keep" if left == right else "up" if left < right else "down"
            corners = [(x - reach, y - left), (x + reach, y - right), (x + reach, y + right), (x - reach, y + left)]
            points = " ".join(f"{a:g},{b:g}" for a, b in corners)
            low = y + max(left, right) + 13
            optional = bool(self.optional.fullmatch(node.name))
            yield f'<polygon class="{kind}{" optional" * optional}" points="{points}"/>'
        if node.note:
            lift = 0
            yield f'<text class="small" x="{x:g}" y="{y + 12:g}">{escape(node.note)}</text>'
        yield f'<text x="{x:g}" y="{y + lift:g}">{escape(node.text)}</text>'
        if node.kind != "dot":
            yield f'<text class="small" x="{x:g}" y="{low:g}">{self._size(node)}</text>'

    def _frames(self) -> Iterator[str]:
        """Draw the frames of opened submodules, with their names below."""
        for frame in dict.fromkeys(node.frame for node in self.nodes if node.frame):
            inside = [node for node in self.nodes if node.frame == frame]
            left, right = (f(node.x + sign * _reach(node) for node in inside) for f, sign in ((min, -1), (max, 1)))
            top, bottom = min(node.y for node in inside) - self.over, max(node.y for node in inside) + self.under + 12
            size = f'width="{right - left + 18:g}" height="{bottom - top:g}"'
            yield f'<rect class="frame" x="{left - 9:g}" y="{top:g}" {size} rx="6"/>'
            yield f'<text class="small" x="{(left + right) / 2:g}" y="{bottom - 5:g}">{escape(indexed(frame))}</text>'

    def svg(self, title: str) -> str:
        """Return the SVG document."""
        lines = [self._line(source, node) for node in self.nodes for source in dict.fromkeys(node.sources)]
        drawn = [line for node in self.nodes for line in self._drawn(node)]
        size = f'viewBox="0 0 {self.width:g} {self.height:g}" width="{self.width:g}" height="{self.height:g}"'
        card = f'<rect class="card" x="0.5" y="0.5" width="{self.width - 1:g}" height="{self.height - 1:g}" rx="8"/>'
        top = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">', f"<title>{escape(title)}</title>"]
        return "\n".join([*top, f"<style>{STYLE}</style>", TIP, card, *self._frames(), *lines, *drawn, "</svg>\n"])


def narrows(node: Node) -> bool:
    """Whether the output of a node has fewer rows than its input."""
    return bool(node.sources) and 0 < rows_of(node) < rows_of(node.sources[0])


def width_of(node: Node) -> float:
    """Return the width of a node: that of its kind, or more for a long label."""
    return max(WIDTHS[node.kind], 7.3 * len(node.text) + 16 if node.kind == "box" else 0)


def _reach(node: Node) -> float:
    return width_of(node) / 2


def _rounded(points: list[Point]) -> str:
    """Return a path with rounded corners."""
    path = f"M{points[0][0]:g} {points[0][1]:g}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(6.0, *(math.dist(corner, other) / 2 for other in (before, after)))
        (ax, ay), (bx, by) = (_towards(corner, other, radius) for other in (before, after))
        path += f"L{ax:g} {ay:g}Q{corner[0]:g} {corner[1]:g} {bx:g} {by:g}"
    return f"{path}L{points[-1][0]:g} {points[-1][1]:g}"


def _towards(point: Point, other: Point, distance: float) -> Point:
    share = distance / max(math.dist(point, other), 1e-9)
    return point[0] + (other[0] - point[0]) * share, point[1] + (other[1] - point[1]) * share
