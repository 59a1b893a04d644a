"""The files of reports, by their endings."""

from pathlib import Path

from layerzoo.testing.front.as_html import as_html
from layerzoo.testing.front.as_json import as_json
from layerzoo.testing.front.as_markdown import as_markdown
from layerzoo.testing.front.runs import Run
from layerzoo_entry.usage import users

FORMATS = {".json": as_json, ".md": as_markdown, ".html": as_html}


def write(run: Run, path: Path) -> None:
    """Write a run as JSON, Markdown or HTML, depending on the file's suffix.

    Raises:
        UsageError: the file cannot be written.
    """
    with users(OSError):
        path.write_text(FORMATS[path.suffix](run), encoding="utf-8")
