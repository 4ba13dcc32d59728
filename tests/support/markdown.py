"""What the documentation's pages contain: code blocks, tables, links."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

PROJECT = Path(__file__).parents[2]
README = PROJECT / "README.md"
DOCS = PROJECT / "docs"
PAGES = (README, PROJECT / "CONTRIBUTING.md", PROJECT / "CHANGELOG.md", *sorted(DOCS.glob("*.md")))

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
_INLINE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    return [Block(*found) for found in _BLOCK.findall(page.read_text())]


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return _BLOCK.sub("", page.read_text())


def code_spans(text: str) -> list[str]:
    """Return what stands between single backquotes."""
    return _INLINE.findall(text)


def table(page: Path, heading: str) -> list[list[str]]:
    """Return the rows, as cells, of the tables under a heading, without the first one's head."""
    marks, rest = re.split(rf"^(#+) {re.escape(heading)}$", page.read_text(), maxsplit=1, flags=re.MULTILINE)[1:]
    section = re.split(rf"^#{{1,{len(marks)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def links(page: Path) -> list[Path]:
    """Return the files of this project that a page links to."""
    targets = [urlsplit(link) for link in _LINK.findall(prose(page))]
    return [page.parent / target.path for target in targets if not target.scheme and target.path]
