"""The rules of traffic/transactions/cache.py in plain Python. The C engine must equal it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

LINE = 64

#: node, offset, size, "load", "store" or "locked"
Access = tuple[int, int, int, str]


@dataclass
class Way:
    """A line in a node's cache, with the bytes that the node loaded and stored since it came."""

    line: int
    loaded: int = 0
    stored: int = 0
    used: int = 0


@dataclass
class Line:
    """What the directory knows of a line."""

    state: str = "I"
    holders: set[int] = field(default_factory=set)
    taker: int = 0
    taken_bytes: int = 0

    def take(self, node: int, stored: int) -> list[int]:
        """Take the line from all other nodes, and return them."""
        victims = sorted(self.holders - {node})
        if victims:
            self.taker, self.taken_bytes = node, stored
        return victims


@dataclass
class Loss:
    takers: set[int] = field(default_factory=set)
    own_bytes: int = 0
    taken_bytes: int = 0
    false_sharing: int = 0
    sharing: int = 0


class ReferenceCaches:
    """Caches of several nodes, empty at first, and the transactions that accesses cause."""

    def __init__(
        self, nodes: int, sets: int, ways: int, *, hardware: bool = True, memory_atomics: bool = False
    ) -> None:
        self.sets, self.ways = sets, ways
        self.hardware, self.memory_atomics = hardware, memory_atomics
        #: By (what, node, line): kinds and causes, evictions, losses and drops.
        self.counts: Counter[tuple[str, int, int]] = Counter()
        #: By (initiator, victim).
        self.invalidations: Counter[tuple[int, int]] = Counter()
        #: By (node, line).
        self.losses: dict[tuple[int, int], Loss] = {}
        self.caches: list[dict[int, list[Way]]] = [{} for _ in range(nodes)]
        self.lines: dict[int, Line] = {}
        self.past: dict[tuple[int, int], str] = {}
        self.clock = 0

    def run(self, accesses: Iterable[Access]) -> None:
        for node, offset, size, kind in accesses:
            for line in range(offset // LINE, (offset + size - 1) // LINE + 1):
                first, last = max(offset, line * LINE), min(offset + size, (line + 1) * LINE)
                self.access(node, line, ((1 << last - first) - 1) << first % LINE, kind)

    def access(self, node: int, number: int, mask: int, kind: str) -> None:
        self.clock += 1
        here = self.caches[node].setdefault(number % self.sets, [])
        line = self.lines.setdefault(number, Line())
        if kind == "locked" and self.memory_atomics:
            self.at_home(node, number, mask, here, line)
            return
        way = next((each for each in here if each.line == number), None)
        if way is not None and self.hardware and node not in line.holders:
            way = None
        if way is None:
            way = self.miss(node, number, mask, kind, here, line)
        elif self.hardware and kind != "load":
            if line.state == "S":
                self.count("upgrade", node, number)
                self.invalidate(node, number, line, mask)
            line.state, line.holders = "M", {node}
        way.used = self.clock
        if kind in ("load", "locked"):
            way.loaded |= mask
        if kind in ("store", "locked"):
            way.stored |= mask

    def miss(self, node: int, number: int, mask: int, kind: str, here: list[Way], line: Line) -> Way:
        if self.hardware:
            for each in [each for each in here if node not in self.lines[each.line].holders]:
                self.lose(node, each, here)
        self.count(self.past.get((node, number), "cold"), node, number)
        if not self.hardware:
            self.count("fill", node, number)
        elif kind == "load":
            self.load_miss(node, number, line)
        else:
            self.store_miss(node, number, mask, line)
        if len(here) == self.ways:
            self.evict(node, min(here, key=lambda each: each.used), here)
        here.append(Way(number))
        return here[-1]

    def load_miss(self, node: int, number: int, line: Line) -> None:
        if line.state == "M":
            self.count("forward", node, number)
            self.count("write_back", min(line.holders), number)
        else:
            self.count("fill", node, number)
        line.state = "S" if line.holders else "E"
        line.holders.add(node)

    def store_miss(self, node: int, number: int, mask: int, line: Line) -> None:
        self.count("forward" if line.state == "M" else "fill_ownership", node, number)
        self.invalidate(node, number, line, mask)
        line.state, line.holders = "M", {node}

    def at_home(self, node: int, number: int, mask: int, here: list[Way], line: Line) -> None:
        way = next((each for each in here if each.line == number), None)
        if way is not None and self.hardware and node not in line.holders:
            self.lose(node, way, here)
            way = None
        if self.hardware:
            if line.state == "M":
                self.count("write_back", min(line.holders), number)
            self.invalidate(node, number, line, mask)
            line.state, line.holders = "I", set()
        elif way is not None and way.stored:
            self.count("write_back", node, number)
        if way is not None:
            here.remove(way)
            self.past[node, number] = "coherence"
            self.count("drops", node, number)
        self.count("atomic", node, number)

    def invalidate(self, node: int, number: int, line: Line, mask: int) -> None:
        for victim in line.take(node, mask):
            self.count("invalidate", node, number)
            self.invalidations[node, victim] += 1

    def evict(self, node: int, way: Way, here: list[Way]) -> None:
        line = self.lines[way.line]
        if line.state == "M" if self.hardware else way.stored:
            self.count("write_back", node, way.line)
        if self.hardware:
            line.holders.discard(node)
            line.state = line.state if line.holders else "I"
        self.past[node, way.line] = "capacity"
        self.count("evictions", node, way.line)
        here.remove(way)

    def lose(self, node: int, way: Way, here: list[Way]) -> None:
        line, own = self.lines[way.line], way.loaded | way.stored
        loss = self.losses.setdefault((node, way.line), Loss())
        loss.takers.add(line.taker)
        loss.own_bytes |= own
        loss.taken_bytes |= line.taken_bytes
        if own & line.taken_bytes:
            loss.sharing += 1
        else:
            loss.false_sharing += 1
        self.past[node, way.line] = "coherence"
        self.count("losses", node, way.line)
        here.remove(way)

    def count(self, what: str, node: int, line: int) -> None:
        self.counts[what, node, line] += 1
