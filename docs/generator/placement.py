"""Fold repeated nodes of a figure, and place all of them in columns and lanes."""

from collections.abc import Iterator

from .nodes import Node


def folded(nodes: list[Node]) -> list[Node]:
    """Merge runs of equal consecutive boxes, such as sixteen residual blocks, into one with a number."""
    while run := next(_runs(nodes), None):
        first, period, count = run
        chain, users = nodes[first : first + period * count], {}
        for node in nodes:
            for source in node.sources:
                users.setdefault(source, []).append(node)
        kept, last = chain[:period], chain[-1]
        label = " + ".join(node.label for node in kept)
        merged = Node("box", label, kept[0].name, kept[0].sources, last.shape, last.frame, repeats=count)
        for user in users.get(last, []):
            user.sources = [merged if source is last else source for source in user.sources]
        nodes = [*nodes[:first], merged, *nodes[first + period * count :]]
    return nodes


def _runs(nodes: list[Node]) -> Iterator[tuple[int, int, int]]:
    """Yield the first index, the period and the count of foldable runs."""
    uses = {node: sum(other.sources.count(node) for other in nodes) for node in nodes}

    def linked(i: int) -> bool:
        """Whether node i + 1 is the only user of node i, and both belong together."""
        here, there = nodes[i], nodes[i + 1]
        return there.sources == [here] and uses[here] == 1 and here.frame == there.frame

    def key(node: Node) -> tuple[object, ...]:
        return (node.kind, node.label, node.shape, node.repeats)

    for period in (1, 2, 3):
        for first in range(len(nodes) - 2 * period + 1):
            count, end = 1, first + period
            if not all(node.kind == "box" and node.repeats == 1 for node in nodes[first:end]):
                continue
            if not all(linked(i) for i in range(first, end - 1)):
                continue
            while (
                end + period <= len(nodes)
                and all(linked(i) for i in range(end - 1, end + period - 1))
                and all(key(nodes[end + i]) == key(nodes[first + i]) for i in range(period))
            ):
                count, end = count + 1, end + period
            if count > 1:
                yield first, period, count


def place(nodes: list[Node]) -> None:
    """Set the column of each node by the longest path to it, and a lane of its own for each side branch."""
    least, frame = 0, ""
    for node in nodes:
        if node.frame and node.frame != frame:
            behind = [other.column for other in nodes if other.frame and other.frame == frame]
            least, frame = 1 + max(behind, default=-1), node.frame
        ahead = 1 + max((source.column for source in node.sources), default=-1)
        node.column = max(ahead, least) if node.frame else ahead
    main = _longest_path(nodes)
    for node in reversed(nodes):  # side branches start as late as they can
        users = [user.column for user in nodes if node in user.sources]
        if node not in main and users and node.kind != "end":
            node.column = max(node.column, min(users) - 1)
    taken: dict[int, set[int]] = {0: {node.column for node in main}}
    for node in nodes:
        if node in main:
            continue
        users = [user.column for user in nodes if node in user.sources]
        stop = min(users, default=node.column + 1)

        def span(lane: int, node: Node = node, stop: int = stop) -> set[int]:
            """Columns that the node and the line to it need in a lane."""
            starts = [source.column + 1 for source in node.sources if source.lane != lane]
            return set(range(min([node.column, *starts]), stop))

        preferred = [source.lane for source in node.sources if source.lane]
        lanes = [*preferred, *range(1, len(nodes) + 1)]
        node.lane = next(lane for lane in lanes if not taken.get(lane, set()) & span(lane))
        taken.setdefault(node.lane, set()).update(span(node.lane))


def _longest_path(nodes: list[Node]) -> set[Node]:
    """Return the nodes of the longest path that ends at the last node."""
    length: dict[Node, float] = {}
    for node in nodes:
        length[node] = 1 + max((length[source] for source in node.sources), default=0)
    path, node = {nodes[-1]}, nodes[-1]
    while node.sources:
        node = max(node.sources, key=lambda source: (length[source], source.kind != "end", source.shape[1]))
        path.add(node)
    return path
