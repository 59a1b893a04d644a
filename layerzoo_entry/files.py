"""What a command may overwrite: a file that the same command wrote, and no other file unasked."""

from collections.abc import Iterable
from pathlib import Path

from layerzoo_entry.usage import UsageError, users


def is_ours(path: Path, *marks: str) -> bool:
    """Whether nothing is at a path, or a file with these texts in it.

    Args:
        path: Where a command wants to write.
        marks: Texts that are in every file which the command writes.
    """
    if not path.exists():
        return True
    if not path.is_file():
        return False
    text = path.read_text(encoding="utf-8", errors="replace")
    return all(mark in text for mark in marks)


def demand_ours(paths: Iterable[Path], *marks: str, advice: str = "name another path") -> None:
    """Demand that writing to these paths overwrites no file of the user's.

    Raises:
        UsageError: a path cannot be read, or has something that the command did not write.
    """
    with users(OSError):
        taken = [str(path) for path in paths if not is_ours(path, *marks)]
    if taken:
        raise UsageError(
            f"A command overwrites only what it wrote itself: {advice}. "
            f"Received: {', '.join(taken[:5])}{' ...' if taken[5:] else ''}, not written by it"
        )
