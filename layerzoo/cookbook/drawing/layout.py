"""Where the boxes of a picture stand.

A box stands one rank below the lowest box it reads, and an arrow over several ranks gets a lane of its
own.
"""

from dataclasses import dataclass, field
from itertools import pairwise


@dataclass(eq=False)
class Box:
    """One box: what it is, what it reads, and where it stands. A plain one is a lane."""

    kind: str = "lane"
    shape: str = ""
    reads: list["Box"] = field(default_factory=list)
    times: int = 1
    rank: int = 0
    x: float = 0.0

    @property
    def title(self) -> str:
        """The box's name."""
        return ""

    @property
    def lines(self) -> list[list[tuple[str, bool]]]:
        """The lines of text on the box: each is made of pieces, with whether a piece is quiet."""
        return []

    @property
    def width(self) -> float:
        """Width in pixels."""
        return 0

    @property
    def height(self) -> float:
        """Height in pixels."""
        return 0


def lay_out(boxes: list[Box], beside: float = 26) -> list[list[Box]]:
    """Give each box its rank and its middle.

    Args:
        boxes: Each after those that it reads.
        beside: The least distance between two boxes of a rank.

    Returns:
        The ranks from the top, with a lane on every rank that an arrow passes.
    """
    ranks = _rank(boxes)
    _order(ranks)
    _place(ranks, beside)
    return ranks


def _rank(boxes):
    """The ranks; what reads nothing and is no input stands just above what reads it."""
    for box in boxes:
        box.rank = max((read.rank + 1 for read in box.reads), default=0)
    for box in boxes:
        if not box.reads and box.kind != "input":
            readers = [other.rank for other in boxes if box in other.reads]
            box.rank = max(0, min(readers, default=1) - 1)
    ranks: list[list[Box]] = [[] for _ in range(max(box.rank for box in boxes) + 1)]
    for box in boxes:
        ranks[box.rank].append(box)
    for box in boxes:
        for place, read in enumerate(box.reads):
            for rank in range(read.rank + 1, box.rank):
                read = Box(shape=read.shape, reads=[read], rank=rank)
                ranks[rank].append(read)
            box.reads[place] = read
    return ranks


def _order(ranks):
    """Order the boxes of each rank so that few arrows cross."""
    best, least = [list(rank) for rank in ranks], _crossings(ranks)
    for sweep in range(8):
        downwards = sweep % 2 == 0
        for rank in range(1, len(ranks)) if downwards else range(len(ranks) - 2, -1, -1):
            beside = ranks[rank - 1 if downwards else rank + 1]
            ranks[rank].sort(key=lambda box: _middle(box, beside))
        if (crossings := _crossings(ranks)) < least:
            best, least = [list(rank) for rank in ranks], crossings
    ranks[:] = best


def _middle(box, beside):
    """The mean place, in the rank beside it, of the boxes that a box is joined to."""
    places = [i for i, other in enumerate(beside) if other in box.reads or box in other.reads]
    return sum(places) / max(1, len(places))


def _crossings(ranks):
    count = 0
    for upper, lower in pairwise(ranks):
        arrows = [(upper.index(read), i) for i, box in enumerate(lower) for read in box.reads]
        count += sum(a < c and b > d for a, b in arrows for c, d in arrows)
    return count


def _place(ranks, beside):
    """Move each column sideways to the mean of its neighbours, keeping order and distance."""
    columns = _columns(ranks)
    apart = _distances(ranks, columns, beside)
    places = _pack(columns, apart)
    if places is None:  # two columns cross
        columns = {box: box for rank in ranks for box in rank}
        apart = _distances(ranks, columns, beside)
        places = _pack(columns, apart)
    arrows = [(columns[read], columns[box]) for box in columns for read in box.reads]
    for _ in range(100):
        for column in places:
            near = [places[b] for a, b in arrows if a is column and b is not column]
            near += [places[a] for a, b in arrows if b is column and a is not column]
            if near:
                low = [places[a] + distance for (a, b), distance in apart.items() if b is column]
                high = [places[b] - distance for (a, b), distance in apart.items() if a is column]
                wanted = max([sum(near) / len(near), *low])
                places[column] = min([wanted, *high])
    for box, column in columns.items():
        box.x = places[column]


def _columns(ranks):
    """The first box of the column of each: boxes in a row that read only each other share one."""
    columns: dict[Box, Box] = {}
    for upper, rank in zip([[], *ranks], ranks, strict=False):
        for box in rank:
            alone = len(box.reads) == 1 and sum(box.reads[0] in other.reads for other in rank) == 1
            columns[box] = columns[box.reads[0]] if alone and box.reads[0] in upper else box
    return columns


def _distances(ranks, columns, beside):
    """How far apart the middles of columns that stand side by side must be."""
    apart: dict[tuple[Box, Box], float] = {}
    for rank in ranks:
        for left, right in pairwise(rank):
            pair = columns[left], columns[right]
            apart[pair] = max(apart.get(pair, 0), (left.width + right.width) / 2 + beside)
    return apart


def _pack(columns, apart):
    """Every column as far to the left as it goes, or None where there is no end to it."""
    places = dict.fromkeys(columns.values(), 0.0)
    for _ in range(len(places) + 1):
        moved = False
        for (left, right), distance in apart.items():
            if places[right] < places[left] + distance:
                places[right], moved = places[left] + distance, True
        if not moved:
            return places
    return None
